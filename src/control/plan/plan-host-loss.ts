/** Who would recover where if a host died now, by which way, after how long, and who would not, and why. */
import type { ClusterState, HostObservation, HostRecord } from '../../model/cluster-state.ts'
import type { HostId } from '../../model/ids.ts'
import type { HostLossPlan } from '../../model/plan.ts'
import { leaseProofAfterMs, pillProofAfterMs } from '../../model/protection/bounds.ts'
import { emptyStatistics } from '../../model/recovery/ladder-statistics.ts'
import { decideFencing } from '../decide-fencing.ts'
import { judgeMassSilence } from '../judge-hosts.ts'
import { describeVerdicts } from '../place-vm.ts'
import { type Recovered, type Stranded, simulateLoss } from '../placement/simulate-loss.ts'
import { planRecovery } from '../recovery/plan-recovery.ts'
import { recoveryFactsOf } from '../recovery/recovery-facts.ts'
import type { Planned } from './dump-cluster.ts'

export function planHostLoss(planned: Planned, hostId: HostId): HostLossPlan {
  const { cluster } = planned
  const host = cluster.hosts.get(hostId)
  const nameOf = (id: HostId) => cluster.hosts.get(id)?.spec.name ?? id
  const { recovered, stranded, staysDown } = simulateLoss(cluster, [hostId])
  const fencing = planFencing(cluster, hostId)
  return {
    hostName: nameOf(hostId),
    proof: fencing.proof,
    provenAfterMs: fencing.isHeld || host === undefined ? null : provenAfterMs(cluster, host),
    recovered: fencing.isHeld ? [] : recovered.map((one) => describeRecovered(planned, one)),
    notRecovered: [
      ...(fencing.isHeld
        ? recovered.map(({ vm }) => ({ vmName: vm.spec.name, reason: fencing.proof, refusals: [] }))
        : []),
      ...stranded.map((one) => describeStranded(one, hostId)),
      ...staysDown.map(({ vm, reason }) => ({ vmName: vm.spec.name, reason, refusals: [] })),
    ],
    losesStandby: [...cluster.vms.values()]
      .filter(({ standby, placement }) => standby?.hostId === hostId && placement?.hostId !== hostId)
      .map(({ spec }) => spec.name),
  }
}

function describeRecovered(
  { cluster, statistics, takenAt }: Planned,
  { vm, hostId, isOnStandby, reason }: Recovered,
): HostLossPlan['recovered'][number] {
  const image = vm.status?.recovery?.image ?? null
  const facts = recoveryFactsOf(cluster, vm, {
    imageAgeMs: image === null ? null : Date.parse(takenAt) - Date.parse(image.capturedAt),
    unavailable: {},
    // Where it would recover: that host's own history.
    statistics: statistics.get(hostId) ?? emptyStatistics,
  })
  const cause = planRecovery({ ...facts, staysBecause: undefined }).causes.find((one) => one.cause === 'host-died')
  const [first] = cause?.steps ?? []
  const isResumed = first?.rung === 'resume-elsewhere'
  return {
    vmName: vm.spec.name,
    toHostName: cluster.hosts.get(hostId)?.spec.name ?? hostId,
    way: isResumed ? (isOnStandby ? 'warm-standby' : 'fetched-image') : 'boot',
    expectedMs: cause?.expectedMs ?? null,
    loses: first?.loses ?? 'what was in memory',
    reason,
  }
}

function describeStranded({ vm, verdicts }: Stranded, lost: HostId): HostLossPlan['notRecovered'][number] {
  const remaining = verdicts.filter(({ hostId }) => hostId !== lost)
  return {
    vmName: vm.spec.name,
    reason: remaining.length === 0 ? 'no other host has joined' : `no host takes it: ${describeVerdicts(remaining)}`,
    refusals: remaining.map(({ hostName, reason }) => ({ hostName, reason })),
  }
}

/** What the leader would decide once the host has been silent for long, and all others answer. */
function planFencing(cluster: ClusterState, hostId: HostId): { readonly proof: string; readonly isHeld: boolean } {
  const host = cluster.hosts.get(hostId)
  if (host === undefined) return { proof: 'it is not a host of this cluster', isHeld: true }
  const suspect: HostRecord = { ...host, status: { ...host.status, state: 'suspect' } }
  const hosts = new Map(cluster.hosts).set(hostId, suspect)
  const observations = new Map([...hosts.keys()].map((id) => [id, id === hostId ? silent : heard(hosts, id)]))
  const decisions = decideFencing(
    { ...cluster, hosts },
    {
      hostId,
      observations,
      mass: judgeMassSilence({ ...cluster, hosts }, observations),
      massAgoMs: Infinity,
      progress: undefined,
      wallTime: host.status.since,
    },
  )
  const hold = decisions.find((decision) => decision.kind === 'hold')
  if (hold !== undefined) return { proof: `it would not be fenced: ${hold.reason}`, isHeld: true }
  return { proof: describeProof(host), isHeld: false }
}

function describeProof({ spec, status }: HostRecord): string {
  const byPower = spec.fence === null ? [] : ['its power fence switches it off']
  const byLease =
    status.armed === 'none'
      ? []
      : [
          `its lease runs out and its ${status.armed === 'hard' ? 'hardware watchdog' : 'kernel timer'} ends its machines`,
        ]
  const ways = [...byPower, ...byLease]
  return ways.length === 0
    ? `nothing can prove it dead but a person: dialtone host confirm-dead ${spec.name}`
    : `${ways.join(', or ')}${ways.length > 1 ? ', whichever is first' : ''}`
}

/** By the lease, and by the pills on its storages, which are written a while after it fell silent. */
function provenAfterMs({ cluster: { timings } }: ClusterState, { status }: HostRecord): number | null {
  if (status.armed === 'none') return null
  return Math.max(leaseProofAfterMs(timings), timings.pillAfterMs + pillProofAfterMs(timings))
}

const muteMs = 3_600_000
const silent: HostObservation = {
  silentMs: muteMs,
  attentiveSilentMs: muteMs,
  kernelAnsweredAgoMs: Infinity,
  unheardAnswers: 0,
  unreadMs: new Map(),
  reports: new Map(),
  reachableStorages: new Set(),
}

function heard(hosts: ClusterState['hosts'], hostId: HostId): HostObservation {
  const storageIds = hosts.get(hostId)?.status.storageIds ?? []
  return { ...silent, silentMs: 0, attentiveSilentMs: 0, reachableStorages: new Set(storageIds) }
}
