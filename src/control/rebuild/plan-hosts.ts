/** Which hosts are entered: those that introduced themselves, and those that manifests name and that have not answered. Pure. */
import type { ClusterState } from '../../model/cluster-state.ts'
import type { HostSpec } from '../../model/host.ts'
import type { HostId } from '../../model/ids.ts'
import type { RebuildItem } from '../../model/rebuild/rebuild-plan.ts'
import type { HostTestimony, Testimony } from '../../model/rebuild/testimony.ts'
import type { HostIdentity } from '../../model/rebuild/vm-manifest.ts'
import type { FoundMachine } from './found-manifests.ts'

export type PlannedHosts = {
  readonly items: readonly RebuildItem[]
  readonly entries: readonly HostSpec[]
  /** Those that are, or will be, in the state. */
  readonly known: ReadonlyMap<HostId, { readonly name: string; readonly number: number }>
  idOf(name: string): HostId | undefined
  /** It told which machines it has. */
  hasAnswered(hostId: HostId): boolean
}

type Candidate = { readonly host: HostTestimony['host']; readonly from: string; readonly answers: boolean }

export function planHosts(
  cluster: Pick<ClusterState, 'hosts'>,
  testimony: Testimony,
  { machines, at }: { readonly machines: Iterable<FoundMachine>; readonly at: string },
): PlannedHosts {
  const known = new Map([...cluster.hosts].map(([id, { spec }]) => [id, { name: spec.name, number: spec.number }]))
  const answered = new Set(testimony.hosts.filter(({ reports }) => reports !== undefined).map(({ host }) => host.id))
  const entries: HostSpec[] = []
  const items: RebuildItem[] = []
  for (const { host, from, answers } of candidatesOf(testimony, machines)) {
    const item = { noun: 'host' as const, id: host.id, name: host.name, from }
    if (cluster.hosts.has(host.id)) continue
    const numbers = new Set([...known.values()].map(({ number }) => number))
    const number = host.number ?? lowestFree(numbers)
    const taken = [...known.values()].find((other) => other.name === host.name || other.number === number)
    if (taken !== undefined) {
      const detail = `${taken.name} has its name or its number ${number} here: delete that host first, if it is not the one that is meant`
      items.push({ ...item, action: 'leave-out', detail, doubts: [] })
      continue
    }
    known.set(host.id, { name: host.name, number })
    entries.push({ ...host, number, joinedAt: at, fence: null, labels: {}, maintenance: null })
    const detail = answers
      ? 'goes on under the certificate that it has'
      : 'did not answer: what it may run is held until it does, or is confirmed to be off'
    items.push({ ...item, action: 'enter', detail, doubts: [] })
  }
  const present = [...cluster.hosts.values()].map(
    ({ spec }): RebuildItem => ({
      ...{ noun: 'host', id: spec.id, name: spec.name, action: 'present', from: 'the state' },
      ...{ detail: answered.has(spec.id) ? 'answers' : 'does not answer', doubts: [] },
    }),
  )
  return {
    items: [...present, ...items],
    entries,
    known,
    idOf: (name) => [...known].find(([, host]) => host.name === name)?.[0],
    hasAnswered: (hostId) => answered.has(hostId),
  }
}

/** Each host once: as it says itself, before what others say of it. */
function candidatesOf(testimony: Testimony, machines: Iterable<FoundMachine>): readonly Candidate[] {
  const candidates = new Map<HostId, Candidate>()
  const named = new Map<HostId, HostIdentity>()
  for (const { manifest } of machines)
    if (manifest.placement !== null) named.set(manifest.placement.host.id, manifest.placement.host)
  for (const { host, reports } of testimony.hosts) {
    const number = host.number ?? named.get(host.id)?.number ?? null
    candidates.set(host.id, { host: { ...host, number }, from: 'itself', answers: reports !== undefined })
  }
  for (const host of named.values())
    if (!candidates.has(host.id)) candidates.set(host.id, { host, from: 'a manifest', answers: false })
  return [...candidates.values()].toSorted((left, right) => left.host.name.localeCompare(right.host.name))
}

function lowestFree(taken: ReadonlySet<number>): number {
  let number = 1
  while (taken.has(number)) number += 1
  return number
}
