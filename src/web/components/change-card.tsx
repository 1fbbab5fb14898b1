/** A change under a safety net: begun, watched, kept or taken back. */
import { Checkbox, Group, NumberInput, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { VmView } from '../../model/api/views.ts'
import type { VmChange } from '../../model/snapshots/vm-change.ts'
import { useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { useAnswer } from '../cloud/use-answer.ts'
import { obstacleTo } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'
import { ActionButton, Card, CommandLine, Foreign } from './parts.tsx'

export function ChangeCard({ vm }: { readonly vm: VmView }) {
  const answer = useAnswer('getChange', { params: { vm: vm.id } }, { after: ['vm.', 'task.'] })
  const change = answer.value?.change ?? null
  return (
    <Card title={texts.change.title}>{change === null ? <Begin vm={vm} /> : <Watched vm={vm} change={change} />}</Card>
  )
}

function Begin({ vm }: { readonly vm: VmView }) {
  const { signedIn } = useConsole()
  const act = useAct()
  const [isAuto, setAuto] = useState(true)
  const [minutes, setMinutes] = useState(10)
  const [check, setCheck] = useState('')
  const begin = () => {
    const body = { auto: isAuto, forSeconds: minutes * 60, checks: check === '' ? [] : [check] }
    void act(`${texts.change.begin} ${vm.name}`, (client) =>
      client.call('beginChange', { params: { vm: vm.id }, body }),
    )
  }
  const options = `${isAuto ? ' --auto' : ''} --for ${minutes}m${check === '' ? '' : ` --check '${check}'`}`
  return (
    <Stack gap="xs">
      <Text size="sm">{texts.change.what}</Text>
      <Group align="flex-end" gap="sm">
        <NumberInput
          label={texts.change.minutes}
          size="xs"
          min={1}
          max={10_080}
          value={minutes}
          onChange={(value) => setMinutes(Math.min(10_080, Math.max(1, Math.round(Number(value)))))}
        />
        <TextInput
          label={texts.change.check}
          size="xs"
          value={check}
          onChange={(event) => setCheck(event.currentTarget.value)}
        />
        <Checkbox
          label={texts.change.auto}
          checked={isAuto}
          onChange={(event) => setAuto(event.currentTarget.checked)}
          mb={6}
        />
      </Group>
      <Group gap="sm">
        <ActionButton label={texts.change.begin} obstacle={obstacleTo('snapshot', vm, signedIn.role)} onPress={begin} />
        <CommandLine command={`dialtone vm change begin ${vm.name}${options}`} />
      </Group>
    </Stack>
  )
}

function Watched({ vm, change }: { readonly vm: VmView; readonly change: VmChange }) {
  const { signedIn } = useConsole()
  const act = useAct()
  const obstacle = obstacleTo('revert', vm, signedIn.role)
  const end = (name: 'commitChange' | 'revertChange', label: string) => () =>
    void act(`${label} ${vm.name}`, (client) => client.call(name, { params: { vm: vm.id } }))
  return (
    <Stack gap="xs">
      <Text>
        {change.worse === null ? (
          texts.change.watched(change.begunBy, new Date(change.watchedUntil).toLocaleTimeString())
        ) : (
          <span className="warning-line">
            <span aria-hidden="true">!</span> {texts.change.worse} <Foreign text={change.worse.reason} />
          </span>
        )}
      </Text>
      <Group gap="sm">
        <ActionButton label={texts.change.keep} obstacle={obstacle} onPress={end('commitChange', texts.change.keep)} />
        <ActionButton
          label={texts.change.takeBack}
          obstacle={obstacle}
          onPress={end('revertChange', texts.change.takeBack)}
        />
        <CommandLine command={`dialtone vm change commit ${vm.name}`} />
        <CommandLine command={`dialtone vm change revert ${vm.name}`} />
      </Group>
    </Stack>
  )
}
