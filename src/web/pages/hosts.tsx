/** Hosts: how they are, what is on them, and maintenance with a look at what it would do. */
import { Anchor, Group, SimpleGrid, Stack, Text } from '@mantine/core'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { FigureHistory } from '../../model/api/figure-routes.ts'
import type { HostView } from '../../model/api/views.ts'
import { formatSize } from '../../model/byte-size.ts'
import { usageOf } from '../cloud/cloud-state.ts'
import { useCloud, useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { useFigures } from '../cloud/use-figures.ts'
import { ConfirmDialog, type Question } from '../components/confirm-dialog.tsx'
import { Facts } from '../components/facts.tsx'
import { FigureChart } from '../components/figure-charts.tsx'
import { MaintenanceDialog } from '../components/maintenance-dialog.tsx'
import { ActionButton, Age, Card, Foreign, Nothing, PageHead, Share, StateBadge } from '../components/parts.tsx'
import { obstacleOfRole } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'

const route = getRouteApi('/hosts')

export function HostsPage() {
  const { hosts } = useCloud()
  const { host: only } = route.useSearch()
  const [maintained, setMaintained] = useState<string | null>(null)
  const figures = useFigures({ kind: 'hosts', ids: [...hosts.keys()] }, 'hour')
  const shown = [...hosts.values()]
    .filter(({ name }) => only === undefined || name === only)
    .sort((left, right) => left.number - right.number)
  return (
    <>
      <PageHead title={texts.pages.hosts}>
        {only === undefined ? null : (
          <Anchor component={Link} to="/hosts">
            {texts.show}
          </Anchor>
        )}
      </PageHead>
      {hosts.size === 0 ? (
        <Nothing>
          {texts.hosts.none} {texts.hosts.noneNext}
        </Nothing>
      ) : null}
      <SimpleGrid cols={{ base: 1, md: 2, xl: 3 }}>
        {shown.map((host) => (
          <HostCard
            key={host.id}
            host={host}
            history={figures?.get(host.id)}
            onMaintain={() => setMaintained(host.name)}
          />
        ))}
      </SimpleGrid>
      <MaintenanceDialog host={maintained} onClose={() => setMaintained(null)} />
    </>
  )
}

type HostCardProps = {
  readonly host: HostView
  readonly history: FigureHistory | undefined
  readonly onMaintain: () => void
}

function HostCard({ host, history, onMaintain }: HostCardProps) {
  const state = useCloud()
  const usage = usageOf(state, host)
  const { status } = host
  return (
    <Card title={host.name} aside={<StateBadge state={status.state} />}>
      <Stack gap="xs">
        <Text size="sm" className="quiet">
          {texts.machine.since} <Age at={status.since} />
          {status.detail === '' ? null : (
            <>
              {' '}
              · <Foreign text={status.detail} />
            </>
          )}
        </Text>
        <Share label={texts.hosts.memory} used={usage.memoryMiB} all={status.memoryMiB} unit={formatSize} />
        <Share label={texts.hosts.cpus} used={usage.cpus} all={status.cpus} unit={String} />
        {history === undefined || history.timesMs.length === 0 ? null : (
          <FigureChart history={history} kind="cpu" full={status} height={110} />
        )}
        <Facts
          facts={[
            [texts.hosts.armed, texts.hosts.armedKinds[status.armed]],
            [texts.hosts.version, `${status.qemuVersion ?? '–'} (${status.accelerator ?? '–'})`],
            [texts.columns.address, host.address],
          ]}
        />
        <div>
          <Text size="sm" component="h3" fw={600}>
            {texts.hosts.machines} ({usage.vms.length})
          </Text>
          <div className="chips">
            {usage.vms.map(({ id, name }) => (
              <Link key={id} to="/machines/$name" params={{ name }} className="chip-link">
                {name}
              </Link>
            ))}
          </div>
        </div>
        <HostActions host={host} onMaintain={onMaintain} />
      </Stack>
    </Card>
  )
}

function HostActions({ host, onMaintain }: { readonly host: HostView; readonly onMaintain: () => void }) {
  const { signedIn } = useConsole()
  const act = useAct()
  const [question, setQuestion] = useState<Question | null>(null)
  const { name, status, maintenance } = host
  const ofRole = obstacleOfRole(signedIn.role, 'administrator')
  const end = () =>
    void act(`${texts.hosts.endMaintenance} ${name}`, (client) =>
      client.call('endMaintenance', { params: { host: name } }),
    )
  const isAlive = status.state === 'online' || status.state === 'maintenance'
  const confirmDead = () =>
    setQuestion({
      title: texts.confirm.title(texts.hosts.confirmDead, name),
      warning: texts.hosts.confirmDeadText(name),
      label: texts.hosts.confirmDead,
      word: name,
      onYes: () =>
        void act(`${texts.hosts.confirmDead} ${name}`, (client) =>
          client.call('confirmHostDead', { params: { host: name }, body: { confirm: name } }),
        ),
    })
  return (
    <Group gap="xs">
      {maintenance === null ? (
        <ActionButton
          label={texts.hosts.beginMaintenance}
          obstacle={ofRole ?? (status.state === 'online' ? null : `${name} is ${status.state}: this needs it online.`)}
          onPress={onMaintain}
        />
      ) : (
        <ActionButton label={texts.hosts.endMaintenance} obstacle={ofRole} onPress={end} />
      )}
      {isAlive ? null : (
        <ActionButton
          label={texts.hosts.confirmDead}
          obstacle={ofRole}
          onPress={confirmDead}
          color="red"
          variant="outline"
        />
      )}
      <ConfirmDialog question={question} onClose={() => setQuestion(null)} />
    </Group>
  )
}
