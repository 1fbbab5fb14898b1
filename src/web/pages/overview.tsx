/** The cloud in one look: how it is, what needs a person, what it can bear, what happened. */
import { Anchor, SimpleGrid, Stack, Text, Title } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { formatDuration } from '../../model/age.ts'
import { formatSize } from '../../model/byte-size.ts'
import { type CloudState, usageOf } from '../cloud/cloud-state.ts'
import { useCloud } from '../cloud/console-context.ts'
import { useAnswer } from '../cloud/use-answer.ts'
import { EventList } from '../components/event-list.tsx'
import { FigureChartsCard, type Fullness } from '../components/figure-charts.tsx'
import { Card, Foreign, MachineLink, Nothing, PageHead, Share } from '../components/parts.tsx'
import { describeHealth, type Need } from '../logic/describe-health.ts'
import { describeNines, summarize } from '../logic/nines.ts'
import { texts } from '../texts.ts'

const signs = { good: '✓', attention: '!', trouble: '✕' } as const

export function OverviewPage() {
  const state = useCloud()
  const health = describeHealth(state)
  return (
    <>
      <PageHead title={texts.pages.overview} />
      <Stack gap="md">
        <section className={`health health-${health.level}`} aria-label={texts.health[health.level]}>
          <span aria-hidden="true" className="health-sign">
            {signs[health.level]}
          </span>
          <div>
            <Title order={2} size="h4">
              {texts.health[health.level]}
            </Title>
            <Text>{health.sentence}</Text>
          </div>
        </section>
        <Figures />
        <FigureChartsCard
          target={{ kind: 'cluster' }}
          id="cluster"
          full={sizeOf(state)}
          kinds={['cpu', 'memory', 'network']}
          title={texts.figures.ofCluster}
        />
        <SimpleGrid cols={{ base: 1, lg: 2 }}>
          <Stack gap="md">
            <Card title={texts.overview.needs}>
              <Needs needs={health.needs} />
            </Card>
            <Card
              title={texts.overview.events}
              aside={
                <Anchor component={Link} to="/events">
                  {texts.show}
                </Anchor>
              }
            >
              <EventList events={state.events.slice(0, 8)} />
            </Card>
          </Stack>
          <Capacity />
        </SimpleGrid>
      </Stack>
    </>
  )
}

/** What all hosts that are online have. */
function sizeOf({ hosts }: CloudState): Fullness {
  const online = [...hosts.values()].map(({ status }) => status).filter(({ state }) => state === 'online')
  return online.reduce(
    (sum, { cpus, memoryMiB }) => ({ cpus: sum.cpus + cpus, memoryMiB: sum.memoryMiB + memoryMiB }),
    { cpus: 0, memoryMiB: 0 },
  )
}

function Figures() {
  const { vms, hosts } = useCloud()
  const { value } = useAnswer('getAvailability', {}, { after: ['vm.', 'host.'] })
  const outages = useAnswer('listOutages', { query: { drills: 'none' } }, { after: ['vm.', 'host.'] }).value?.outages
  const running = [...vms.values()].filter(({ status }) => status.state === 'running').length
  const online = [...hosts.values()].filter(({ status }) => status.state === 'online').length
  const sum = value === null ? null : summarize(value.services)
  const longest = Math.max(0, ...(outages ?? []).map(({ durationMs, soFarMs }) => durationMs ?? soFarMs ?? 0))
  return (
    <dl className="figures-row">
      <Figure label={texts.overview.machines} value={`${running} / ${vms.size}`} to="/machines" />
      <Figure label={texts.overview.hosts} value={`${online} / ${hosts.size}`} to="/hosts" />
      <Figure label={texts.overview.nines} value={sum === null ? '…' : describeNines(sum)} to="/availability" />
      <Figure
        label={texts.overview.outages}
        value={outages === undefined ? '…' : outages.length === 0 ? texts.overview.noOutage : String(outages.length)}
        note={longest > 0 ? texts.overview.longest(formatDuration(longest)) : undefined}
        to="/availability"
      />
    </dl>
  )
}

type FigureProps = {
  readonly label: string
  readonly value: string
  readonly note?: string | undefined
  readonly to: '/machines' | '/hosts' | '/availability'
}

function Figure({ label, value, note, to }: FigureProps) {
  return (
    <div className="figure">
      <dt>
        <Link to={to}>{label}</Link>
      </dt>
      <dd>
        {value}
        {note === undefined ? null : <span className="figure-note">{note}</span>}
      </dd>
    </div>
  )
}

function Needs({ needs }: { readonly needs: readonly Need[] }) {
  if (needs.length === 0) return <Nothing>{texts.overview.nothingNeeded}</Nothing>
  return (
    <ul className="needs">
      {needs.slice(0, 12).map(({ level, subject, text, target }) => (
        <li key={`${subject} ${text}`} className={`need need-${level}`}>
          <span aria-hidden="true">{signs[level]}</span> <NeedLink subject={subject} kind={target.kind} />{' '}
          <Foreign text={text} />
        </li>
      ))}
    </ul>
  )
}

function NeedLink({ subject, kind }: { readonly subject: string; readonly kind: Need['target']['kind'] }) {
  if (kind === 'vm') return <MachineLink name={subject} />
  if (kind === 'host') return <Link to="/hosts">{subject}</Link>
  return <strong>{subject}</strong>
}

function Capacity() {
  const state = useCloud()
  const hosts = [...state.hosts.values()].filter(({ status }) => status.state === 'online')
  const used = hosts.map((host) => usageOf(state, host))
  const sum = (figures: readonly number[]) => figures.reduce((total, one) => total + one, 0)
  return (
    <Card title={texts.overview.capacity}>
      <Stack gap="sm">
        <Share
          label={texts.overview.memory}
          used={sum(used.map(({ memoryMiB }) => memoryMiB))}
          all={sum(hosts.map(({ status }) => status.memoryMiB))}
          unit={formatSize}
        />
        <Share
          label={texts.overview.cpus}
          used={sum(used.map(({ cpus }) => cpus))}
          all={sum(hosts.map(({ status }) => status.cpus))}
          unit={String}
        />
        {hosts.map((host, index) => (
          <Share
            key={host.id}
            label={host.name}
            used={used[index]?.memoryMiB ?? 0}
            all={host.status.memoryMiB}
            unit={formatSize}
          />
        ))}
      </Stack>
    </Card>
  )
}
