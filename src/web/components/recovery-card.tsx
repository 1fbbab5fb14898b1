/** How a machine comes back after a failure, what that loses, and how to change it. */
import { Button, Group, NativeSelect, Text } from '@mantine/core'
import { useState } from 'react'
import { formatDuration } from '../../model/age.ts'
import type { VmView } from '../../model/api/views.ts'
import type { Recovery } from '../../model/recovery/recovery-policy.ts'
import { useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { useAnswer } from '../cloud/use-answer.ts'
import { obstacleOfRole } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'
import { ActionButton, Card, CommandLine, Foreign } from './parts.tsx'

const modes = ['boot', 'warm', 'checkpoint'] as const
const policies: Readonly<Record<(typeof modes)[number], Recovery>> = {
  boot: { mode: 'boot' },
  warm: { mode: 'warm' },
  checkpoint: { mode: 'checkpoint', everySeconds: 300, keep: 2 },
}

export function RecoveryCard({ vm }: { readonly vm: VmView }) {
  const [isChanging, setChanging] = useState(false)
  const { signedIn } = useConsole()
  const plan = useAnswer('getRecoveryPlan', { params: { vm: vm.id } }, { after: ['vm.'] }).value
  const change = (
    <ActionButton
      label={texts.machine.changeRecovery}
      obstacle={obstacleOfRole(signedIn.role, 'operator')}
      onPress={() => setChanging(!isChanging)}
      size="compact-xs"
    />
  )
  return (
    <Card title={texts.machine.recovery} aside={change}>
      <Text mb="xs">
        <strong>{vm.recovery.mode}</strong>. <Foreign text={vm.recoverySentence} />
      </Text>
      {isChanging ? <ChangeMode vm={vm} onDone={() => setChanging(false)} /> : null}
      {plan?.warnings.map((warning) => (
        <Text key={warning} size="sm" className="warning-line">
          <span aria-hidden="true">!</span> <Foreign text={warning} />
        </Text>
      ))}
      <table className="plain-table causes">
        <caption>{texts.machine.causes}</caption>
        <tbody>
          {plan?.causes.map(({ cause, steps, expectedMs, otherwise }) => (
            <tr key={cause}>
              <th scope="row">{cause}</th>
              <td>{steps.length === 0 ? <Foreign text={otherwise} /> : steps.map(({ rung }) => rung).join(' → ')}</td>
              <td className="figures">{expectedMs === null ? '–' : formatDuration(expectedMs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  )
}

function ChangeMode({ vm, onDone }: { readonly vm: VmView; readonly onDone: () => void }) {
  const act = useAct()
  const [mode, setMode] = useState<(typeof modes)[number]>(vm.recovery.mode)
  const submit = async () => {
    const isDone = await act(`${texts.machine.recover} ${mode}`, (client) =>
      client.call('changeVm', { params: { vm: vm.id }, body: { recovery: policies[mode] } }),
    )
    if (isDone) onDone()
  }
  return (
    <div className="change-mode">
      <Group align="flex-end" gap="xs" mb={4}>
        <NativeSelect
          label={texts.machine.recover}
          value={mode}
          onChange={(event) => setMode(modes.find((one) => one === event.currentTarget.value) ?? 'boot')}
          data={modes.map((value) => ({ value, label: texts.machine.modes[value] }))}
        />
        <Button size="sm" onClick={() => void submit()}>
          {texts.machine.changeRecovery}
        </Button>
      </Group>
      <CommandLine command={`dialtone vm set ${vm.name} --recover ${mode}`} />
    </div>
  )
}
