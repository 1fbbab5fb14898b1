import { Button, Paper, PasswordInput, Text, TextInput, Title } from '@mantine/core'
import { type SyntheticEvent, useState } from 'react'
import type { SignedIn } from '../model/api/access-routes.ts'
import type { DialtoneError } from '../model/dialtone-error.ts'
import { asDialtoneError, type ConsoleClient } from './api/console-client.ts'
import { texts } from './texts.ts'

type SignInProps = {
  readonly client: ConsoleClient
  readonly hasEnded: boolean
  readonly onSignedIn: (signedIn: SignedIn) => void
}

export function SignIn({ client, hasEnded, onSignedIn }: SignInProps) {
  const [userName, setUserName] = useState('')
  const [password, setPassword] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<DialtoneError | null>(null)
  const submit = (event: SyntheticEvent) => {
    event.preventDefault()
    setBusy(true)
    client.call('signIn', { body: { userName, password } }).then(onSignedIn, (caught: unknown) => {
      setBusy(false)
      setError(asDialtoneError(caught))
    })
  }
  return (
    <main className="sign-in">
      <Paper component="form" onSubmit={submit} withBorder radius="lg" p="xl" className="sign-in-form">
        <Title order={1} size="h2" mb={4}>
          {texts.product}
        </Title>
        <Text mb="lg">{hasEnded ? texts.signIn.ended : texts.signIn.title}</Text>
        <TextInput
          label={texts.signIn.userName}
          value={userName}
          onChange={(event) => setUserName(event.currentTarget.value)}
          autoComplete="username"
          autoFocus
          required
          withAsterisk={false}
          mb="sm"
        />
        <PasswordInput
          label={texts.signIn.password}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          autoComplete="current-password"
          required
          withAsterisk={false}
          mb="md"
        />
        {error === null ? null : (
          <Text role="alert" className="field-error" mb="md">
            {error.message}
          </Text>
        )}
        <Button type="submit" fullWidth loading={isBusy}>
          {texts.signIn.submit}
        </Button>
        <Text size="xs" mt="lg" className="quiet">
          {texts.signIn.hint}
        </Text>
      </Paper>
    </main>
  )
}
