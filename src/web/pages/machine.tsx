/** One machine: how it is, what can be done with it, how it would come back, when it was away. */
import { SimpleGrid, Stack, Text } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'
import type { VmView } from '../../model/api/views.ts'
import { formatSize } from '../../model/byte-size.ts'
import { useCloud, useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { useAnswer } from '../cloud/use-answer.ts'
import { ChangeCard } from '../components/change-card.tsx'
import { ConfirmDialog, type Question } from '../components/confirm-dialog.tsx'
import { EventList } from '../components/event-list.tsx'
import { Facts } from '../components/facts.tsx'
import { FigureChartsCard } from '../components/figure-charts.tsx'
import { HardwareCard } from '../components/hardware-card.tsx'
import { NamesCard } from '../components/names-card.tsx'
import { OutageList } from '../components/outages.tsx'
import { ActionButton, Age, Card, CommandLine, Foreign, Nothing, PageHead, StateBadge } from '../components/parts.tsx'
import { RecoveryCard } from '../components/recovery-card.tsx'
import { SnapshotsCard } from '../components/snapshots-card.tsx'
import { TerminalCard } from '../components/terminal-card.tsx'
import {
  type ConsoleVmAction,
  carryOut,
  commandFor,
  confirmationOf,
  obstacleTo,
  vmActions,
} from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'

const route = getRouteApi('/machines/$name')

export function MachinePage() {
  const { name } = route.useParams()
  const { vms } = useCloud()
  const vm = [...vms.values()].find((one) => one.name === name || one.id === name)
  if (vm === undefined)
    return (
      <>
        <PageHead title={name} />
        <Nothing>{texts.machine.gone}</Nothing>
      </>
    )
  return <Machine vm={vm} />
}

function Machine({ vm }: { readonly vm: VmView }) {
  const { events } = useCloud()
  const outages = useAnswer('listOutages', { query: { service: vm.name, limit: 50 } }, { after: ['vm.', 'host.'] })
  const own = events.filter(({ vmId, subject }) => vmId === vm.id || subject === vm.name)
  return (
    <>
      <PageHead title={vm.name}>
        <StateBadge state={vm.status.state} />
        <Text size="sm" className="quiet">
          {texts.machine.since} <Age at={vm.status.since} />
        </Text>
      </PageHead>
      {vm.status.detail === '' ? null : (
        <Text mb="sm">
          <Foreign text={vm.status.detail} />
        </Text>
      )}
      <Stack gap="md">
        <Actions vm={vm} />
        <TerminalCard vm={vm} />
        <FigureChartsCard target={{ kind: 'vm', id: vm.id }} id={vm.id} full={vm} />
        <SimpleGrid cols={{ base: 1, lg: 2 }}>
          <Stack gap="md">
            <Card title={texts.machine.facts}>
              <Facts facts={factsOf(vm)} />
            </Card>
            <SnapshotsCard vm={vm} />
            <ChangeCard vm={vm} />
            <NamesCard vm={vm} />
          </Stack>
          <Stack gap="md">
            <RecoveryCard vm={vm} />
            <HardwareCard vm={vm} />
          </Stack>
        </SimpleGrid>
        <Card title={texts.machine.outages}>
          {outages.value !== null && outages.value.outages.length === 0 ? (
            <Nothing>{texts.machine.noOutages}</Nothing>
          ) : (
            <OutageList outages={outages.value?.outages ?? []} isOfOne />
          )}
        </Card>
        <Card title={texts.machine.events}>
          <EventList events={own.slice(0, 20)} />
        </Card>
      </Stack>
    </>
  )
}

function factsOf(vm: VmView): readonly (readonly [string, string])[] {
  const disks = vm.disks.map(({ sizeMiB, format }) => `${formatSize(sizeMiB)} ${format}`).join(', ')
  const cards = vm.nics
    .map(({ networkName, address, macAddress }) => `${networkName}: ${address} (${macAddress})`)
    .join(', ')
  const labels = Object.entries(vm.placementRules.labels).map(([key, value]) => `${key}=${value}`)
  return [
    [texts.columns.host, vm.hostName ?? '–'],
    [texts.columns.address, vm.address],
    [texts.columns.cpus, String(vm.cpus)],
    [texts.columns.memory, formatSize(vm.memoryMiB)],
    [texts.columns.template, vm.templateName],
    [texts.machine.disks, disks],
    [texts.machine.cards, cards],
    [texts.networks.groups, vm.securityGroups.join(', ') || texts.networks.noGroups],
    ...(labels.length > 0 ? [['Labels', labels.join(', ')] as const] : []),
    [texts.columns.ha, vm.ha ? texts.state.yes : texts.state.no],
    [texts.machine.service, vm.status.recovery?.service ?? '–'],
    [texts.machine.standby, vm.standbyHostName ?? '–'],
    [texts.machine.placement, vm.placement?.reason ?? '–'],
    ...(vm.proofSentence === null ? [] : [[texts.machine.proof, vm.proofSentence] as const]),
  ]
}

function Actions({ vm }: { readonly vm: VmView }) {
  const { signedIn } = useConsole()
  const act = useAct()
  const [question, setQuestion] = useState<Question | null>(null)
  const [pointedAt, setPointedAt] = useState<ConsoleVmAction>('stop')
  const press = (action: ConsoleVmAction) => {
    const label = texts.actions[action]
    const onYes = () => void act(`${label} ${vm.name}`, (client) => carryOut(client, action, vm.name))
    const kind = confirmationOf[action]
    if (kind === 'none') return onYes()
    setQuestion({
      title: texts.confirm.title(label, vm.name),
      warning: texts.warnings[action],
      label,
      word: kind === 'ask' ? null : vm.name,
      onYes,
    })
  }
  return (
    <Card title={texts.machine.actions}>
      <div className="actions">
        {vmActions.map((action) => (
          <span key={action} onMouseEnter={() => setPointedAt(action)} onFocus={() => setPointedAt(action)}>
            <ActionButton
              label={texts.actions[action]}
              obstacle={obstacleTo(action, vm, signedIn.role)}
              onPress={() => press(action)}
              {...(action === 'delete' ? { color: 'red', variant: 'outline' } : {})}
            />
          </span>
        ))}
      </div>
      <Text size="xs" mt="xs" className="quiet">
        {texts.machine.command}: <CommandLine command={commandFor(pointedAt, vm.name)} />
      </Text>
      <ConfirmDialog question={question} onClose={() => setQuestion(null)} />
    </Card>
  )
}
