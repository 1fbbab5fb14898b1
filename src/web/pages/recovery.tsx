/** Drills: something really fails, and one sees of what parts its recovery is made, beside all drills before it. */
import { NativeSelect, SimpleGrid, Stack, Text } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'
import { type DrillKind, drillKindSchema } from '../../model/recovery/drill.ts'
import { useCloud, useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { useAnswer } from '../cloud/use-answer.ts'
import { ConfirmDialog, type Question } from '../components/confirm-dialog.tsx'
import { OutageList } from '../components/outages.tsx'
import {
  ActionButton,
  Card,
  CommandLine,
  Foreign,
  MachineLink,
  Nothing,
  PageHead,
  ScrollTable,
  StateBadge,
} from '../components/parts.tsx'
import { selectMachines } from '../logic/machine-list.ts'
import { obstacleOfRole } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'

const route = getRouteApi('/recovery')

export function RecoveryPage() {
  const { vms } = useCloud()
  const drills =
    useAnswer('listOutages', { query: { drills: 'only', limit: 100 } }, { after: ['vm.', 'host.', 'drill'] }).value
      ?.outages ?? []
  return (
    <>
      <PageHead title={texts.pages.recovery} />
      <Stack gap="md">
        <SimpleGrid cols={{ base: 1, lg: 2 }}>
          <DrillForm />
          <Card title={texts.recovery.machines}>
            <ScrollTable axis="y">
              <tbody>
                {selectMachines(vms.values(), {}).map((vm) => (
                  <tr key={vm.id}>
                    <th scope="row">
                      <MachineLink name={vm.name} />
                    </th>
                    <td>
                      <StateBadge state={vm.status.recovery?.service ?? 'unprobed'} />
                    </td>
                    <td>
                      <Foreign text={vm.recoverySentence} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </ScrollTable>
          </Card>
        </SimpleGrid>
        <Card title={texts.recovery.history}>
          {drills.length === 0 ? <Nothing>{texts.recovery.none}</Nothing> : <OutageList outages={drills} />}
        </Card>
      </Stack>
    </>
  )
}

function DrillForm() {
  const { vms } = useCloud()
  const { signedIn } = useConsole()
  const act = useAct()
  const { vm: wanted } = route.useSearch()
  const running = selectMachines(vms.values(), { state: 'running' })
  const [name, setName] = useState(wanted ?? running.find(({ drillable }) => drillable)?.name ?? running[0]?.name ?? '')
  const [kind, setKind] = useState<DrillKind>('kill-qemu')
  const [question, setQuestion] = useState<Question | null>(null)
  const vm = running.find((one) => one.name === name)
  const run = (confirmed: boolean) =>
    void act(`${kind} ${name}`, (client) => client.call('drillVm', { params: { vm: name }, body: { kind, confirmed } }))
  const ask = () => {
    if (vm?.drillable === true && kind !== 'kill-host') return run(false)
    setQuestion({
      title: texts.confirm.title(texts.recovery.run, name),
      warning: `${texts.recovery.warn(name)} ${texts.recovery.notDrillable}`,
      label: texts.recovery.run,
      word: kind === 'kill-host' ? name : null,
      onYes: () => run(true),
    })
  }
  const obstacle = obstacleOfRole(signedIn.role, 'operator') ?? (vm === undefined ? texts.machine.gone : null)
  return (
    <Card title={texts.recovery.drill}>
      <Stack gap="sm">
        <NativeSelect
          label={texts.recovery.machine}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          data={running.map((one) => one.name)}
        />
        <NativeSelect
          label={texts.recovery.failure}
          value={kind}
          onChange={(event) => setKind(drillKindSchema.parse(event.currentTarget.value))}
          data={drillKindSchema.options.map((value) => ({ value, label: texts.recovery.kinds[value] }))}
        />
        <Text size="sm">{texts.recovery.warn(name)}</Text>
        <div>
          <ActionButton label={texts.recovery.run} obstacle={obstacle} onPress={ask} variant="filled" size="sm" />
        </div>
        <CommandLine command={`dialtone drill ${kind} ${name}`} />
      </Stack>
      <ConfirmDialog question={question} onClose={() => setQuestion(null)} />
    </Card>
  )
}
