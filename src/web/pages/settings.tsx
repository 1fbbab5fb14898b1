/** One's own password; for administrators, who else may sign in, and tokens for programs. */
import { Button, Group, NativeSelect, PasswordInput, Stack, Text, TextInput } from '@mantine/core'
import { type SyntheticEvent, useState } from 'react'
import { firstUser, type UserRole, userRoleSchema } from '../../model/access.ts'
import { useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { useAnswer } from '../cloud/use-answer.ts'
import { ConfirmDialog, type Question } from '../components/confirm-dialog.tsx'
import { ActionButton, Age, Card, CommandLine, Nothing, PageHead, ScrollTable } from '../components/parts.tsx'
import { texts } from '../texts.ts'

export function SettingsPage() {
  const { signedIn } = useConsole()
  return (
    <>
      <PageHead title={texts.pages.settings} />
      <Stack gap="md">
        <OwnPassword />
        {signedIn.role === 'administrator' ? (
          <>
            <Users />
            <Tokens />
          </>
        ) : (
          <Nothing>{texts.settings.onlyAdministrators}</Nothing>
        )}
      </Stack>
    </>
  )
}

function OwnPassword() {
  const act = useAct()
  const [present, setPresent] = useState('')
  const [next, setNext] = useState('')
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault()
    const isDone = await act(texts.settings.changed, (client) =>
      client.call('changeOwnPassword', { body: { present, next } }),
    )
    if (!isDone) return
    setPresent('')
    setNext('')
  }
  return (
    <Card title={texts.settings.password}>
      <form onSubmit={(event) => void submit(event)}>
        <Group align="flex-end" gap="sm">
          <PasswordField label={texts.settings.present} value={present} onChange={setPresent} />
          <PasswordField label={texts.settings.next} value={next} onChange={setNext} isNew />
          <Button type="submit">{texts.settings.change}</Button>
        </Group>
      </form>
    </Card>
  )
}

type FieldProps = { readonly label: string; readonly value: string; readonly onChange: (value: string) => void }

const required = { className: 'field', required: true, withAsterisk: false } as const

function NameField({ onChange, ...field }: FieldProps) {
  return (
    <TextInput {...required} {...field} autoComplete="off" onChange={(event) => onChange(event.currentTarget.value)} />
  )
}

/** `isNew`: one that is being chosen, and has to be long enough. */
function PasswordField({ onChange, isNew = false, ...field }: FieldProps & { readonly isNew?: boolean }) {
  return (
    <PasswordInput
      {...required}
      {...field}
      {...(isNew ? { autoComplete: 'new-password', minLength: 10 } : { autoComplete: 'current-password' })}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  )
}

function RoleSelect({ role, onChange }: { readonly role: UserRole; readonly onChange: (role: UserRole) => void }) {
  return (
    <NativeSelect
      label={texts.settings.role}
      value={role}
      onChange={(event) => onChange(userRoleSchema.parse(event.currentTarget.value))}
      data={[...userRoleSchema.options]}
    />
  )
}

function Users() {
  const act = useAct()
  const { value, reload } = useAnswer('listUsers', {}, { after: ['user.'] })
  const [question, setQuestion] = useState<Question | null>(null)
  const remove = (user: string) =>
    setQuestion({
      title: texts.confirm.title(texts.settings.delete, user),
      warning: texts.settings.deleteWarning,
      label: texts.settings.delete,
      word: user,
      onYes: () =>
        void act(`${texts.settings.delete} ${user}`, (client) => client.call('deleteUser', { params: { user } })).then(
          reload,
        ),
    })
  return (
    <Card title={texts.settings.users}>
      <ScrollTable>
        <tbody>
          {value?.users.map((user) => (
            <tr key={user.name}>
              <th scope="row">{user.name}</th>
              <td>{user.role}</td>
              <td>{user.createdAt === null ? null : <Age at={user.createdAt} />}</td>
              <td>
                {user.name === firstUser ? null : (
                  <ActionButton
                    label={texts.settings.delete}
                    obstacle={null}
                    onPress={() => remove(user.name)}
                    size="compact-xs"
                  />
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </ScrollTable>
      <AddUser onAdded={reload} />
      <ConfirmDialog question={question} onClose={() => setQuestion(null)} />
    </Card>
  )
}

function AddUser({ onAdded }: { readonly onAdded: () => void }) {
  const act = useAct()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [role, setRole] = useState<UserRole>('viewer')
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault()
    const isDone = await act(`${texts.settings.addUser}: ${name}`, (client) =>
      client.call('createUser', { body: { name, role, password } }),
    )
    if (!isDone) return
    setName('')
    setPassword('')
    onAdded()
  }
  return (
    <form onSubmit={(event) => void submit(event)}>
      <Group align="flex-end" gap="sm" mt="md">
        <NameField label={texts.signIn.userName} value={name} onChange={setName} />
        <PasswordField label={texts.settings.next} value={password} onChange={setPassword} isNew />
        <RoleSelect role={role} onChange={setRole} />
        <Button type="submit">{texts.settings.addUser}</Button>
      </Group>
    </form>
  )
}

function Tokens() {
  const act = useAct()
  const { value, reload } = useAnswer('listAccessTokens', {}, { after: ['token.'] })
  const [name, setName] = useState('')
  const [role, setRole] = useState<UserRole>('viewer')
  const [made, setMade] = useState<string | null>(null)
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault()
    await act(`${texts.settings.addToken}: ${name}`, async (client) =>
      setMade((await client.call('createAccessToken', { body: { name, role } })).token),
    )
    reload()
  }
  const revoke = (token: string) =>
    void act(`${texts.settings.revoke} ${token}`, (client) =>
      client.call('revokeAccessToken', { params: { token } }),
    ).then(reload)
  return (
    <Card title={texts.settings.tokens}>
      <ScrollTable>
        <tbody>
          {value?.tokens.map((token) => (
            <tr key={token.id}>
              <th scope="row">{token.name}</th>
              <td>{token.role}</td>
              <td>
                {texts.settings.expires}:{' '}
                {token.expiresAt === null ? texts.settings.never : new Date(token.expiresAt).toLocaleString()}
              </td>
              <td>
                <ActionButton
                  label={texts.settings.revoke}
                  obstacle={null}
                  onPress={() => revoke(token.id)}
                  size="compact-xs"
                />
              </td>
            </tr>
          ))}
        </tbody>
      </ScrollTable>
      <form onSubmit={(event) => void submit(event)}>
        <Group align="flex-end" gap="sm" mt="md">
          <NameField label={texts.columns.name} value={name} onChange={setName} />
          <RoleSelect role={role} onChange={setRole} />
          <Button type="submit">{texts.settings.addToken}</Button>
        </Group>
      </form>
      {made === null ? null : (
        <Text mt="sm" role="status">
          {texts.settings.tokenOnce} <CommandLine command={made} />
        </Text>
      )}
    </Card>
  )
}
