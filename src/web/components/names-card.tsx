/** What a machine is called and what people have noted of it; and a machine that begins with its disks. */
import { Group, Stack, Textarea, TextInput } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import type { VmView } from '../../model/api/views.ts'
import { useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { tagChange } from '../logic/tag-change.ts'
import { obstacleOfRole } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'
import { ActionButton, Card, CommandLine } from './parts.tsx'

type FieldProps = { readonly vm: VmView; readonly obstacle: string | null }

export function NamesCard({ vm }: { readonly vm: VmView }) {
  const { signedIn } = useConsole()
  const obstacle = obstacleOfRole(signedIn.role, 'operator')
  return (
    <Card title={texts.names.title}>
      <Stack gap="md">
        <Rename key={vm.name} vm={vm} obstacle={obstacle} />
        <Tags key={vm.tags.join(' ')} vm={vm} obstacle={obstacle} />
        <Note key={vm.note} vm={vm} obstacle={obstacle} />
        <Clone vm={vm} obstacle={obstacle} />
      </Stack>
    </Card>
  )
}

function Rename({ vm, obstacle }: FieldProps) {
  const act = useAct()
  const navigate = useNavigate()
  const [name, setName] = useState<string>(vm.name)
  const rename = async () => {
    const isDone = await act(`${texts.names.rename} ${vm.name}`, (client) =>
      client.call('nameVm', { params: { vm: vm.id }, body: { name } }),
    )
    if (isDone) await navigate({ to: '/machines/$name', params: { name }, replace: true })
  }
  return (
    <div>
      <Group align="flex-end" gap="sm" mb={4}>
        <TextInput
          label={texts.columns.name}
          size="xs"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <ActionButton
          label={texts.names.rename}
          obstacle={obstacle ?? (name === vm.name ? texts.names.same : null)}
          onPress={() => void rename()}
        />
      </Group>
      <CommandLine command={`dialtone vm rename ${vm.name} ${name === vm.name ? 'NAME' : name}`} />
    </div>
  )
}

function Tags({ vm, obstacle }: FieldProps) {
  const act = useAct()
  const [text, setText] = useState(vm.tags.join(' '))
  const change = tagChange(vm.tags, text)
  const isSame = change.add.length === 0 && change.remove.length === 0
  return (
    <Group align="flex-end" gap="sm">
      <TextInput
        label={texts.names.tags}
        size="xs"
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      <ActionButton
        label={texts.names.setTags}
        obstacle={obstacle ?? (isSame ? texts.names.same : null)}
        onPress={() =>
          void act(`${texts.names.setTags} ${vm.name}`, (client) =>
            client.call('tagVm', { params: { vm: vm.id }, body: change }),
          )
        }
      />
      <CommandLine command={`dialtone vm tag add ${vm.name} ${change.add.join(' ') || 'TAG'}`} />
    </Group>
  )
}

function Note({ vm, obstacle }: FieldProps) {
  const act = useAct()
  const [note, setNote] = useState(vm.note)
  return (
    <div>
      <Textarea
        label={texts.names.note}
        size="xs"
        autosize
        minRows={2}
        mb={6}
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
      />
      <Group gap="sm">
        <ActionButton
          label={texts.names.setNote}
          obstacle={obstacle ?? (note === vm.note ? texts.names.same : null)}
          onPress={() =>
            void act(`${texts.names.setNote} ${vm.name}`, (client) =>
              client.call('noteVm', { params: { vm: vm.id }, body: { note } }),
            )
          }
        />
        <CommandLine command={`dialtone vm note ${vm.name} TEXT`} />
      </Group>
    </div>
  )
}

function Clone({ vm, obstacle }: FieldProps) {
  const act = useAct()
  const [name, setName] = useState('')
  return (
    <div>
      <Group align="flex-end" gap="sm" mb={4}>
        <TextInput
          label={texts.names.cloneName}
          size="xs"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <ActionButton
          label={texts.names.clone}
          obstacle={obstacle ?? (name === '' ? texts.names.noName : null)}
          onPress={() =>
            void act(`${texts.names.clone} ${vm.name}`, (client) =>
              client.call('cloneDisks', { params: { vm: vm.id }, body: { name, start: true } }),
            )
          }
        />
      </Group>
      <CommandLine command={`dialtone vm clone ${vm.name} ${name === '' ? 'NAME' : name} --start`} />
    </div>
  )
}
