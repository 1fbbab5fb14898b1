/**
 * What to do about a silent host that holds machines with HA (docs/architecture.md, 4.4 and 4.5): the power fence at once, a pill on each
 * shared storage when the silence lasts, and the proof as soon as either is complete. The first proof wins. Neither is begun while the host's
 * kernel answers and its lease may hold (decision 36). Pure.
 */
import {
  type ClusterState,
  type HostObservation,
  type HostRecord,
  isLeased,
  type VmRecord,
} from '../model/cluster-state.ts'
import type { HostId, StorageId } from '../model/ids.ts'
import { ownersOf } from '../model/migration/owners-of.ts'
import type { Proof } from '../model/proof.ts'
import { leaseProofAfterMs, pillProofAfterMs } from '../model/protection/bounds.ts'
import { countedTimings } from '../model/protection/counted-timings.ts'
import type { MassSilence, Observations } from './judge-hosts.ts'
import { placeVm } from './place-vm.ts'

/** How far a fencing has come, as the leader that does it remembers it. */
export type FencingProgress = {
  readonly generation: number
  readonly power:
    | { readonly kind: 'unused' }
    | { readonly kind: 'running' }
    | { readonly kind: 'off'; readonly tookMs: number }
    | { readonly kind: 'failed'; readonly agoMs: number }
  /** Per storage: how long the pill of this generation has stood, or that it is being written. */
  readonly pills: ReadonlyMap<
    StorageId,
    { readonly kind: 'writing' } | { readonly kind: 'standing'; readonly stoodMs: number }
  >
}

export type FencingDecision =
  /** Nothing is done yet, and this is why. */
  | { readonly kind: 'hold'; readonly reason: string }
  /** From here on the host gets no acknowledgement. Comes before anything else that fences. */
  | { readonly kind: 'begin'; readonly reason: string }
  | { readonly kind: 'use-power-fence'; readonly reason: string }
  | { readonly kind: 'write-pill'; readonly storageId: StorageId; readonly viaHostId: HostId; readonly reason: string }
  | { readonly kind: 'prove'; readonly proof: Proof }

export type FencingQuestion = {
  readonly hostId: HostId
  readonly observations: Observations
  readonly mass: MassSilence
  /** How long ago more hosts than the set share were last silent together; Infinity when never. */
  readonly massAgoMs: number
  readonly progress: FencingProgress | undefined
  /** For the proof's record. */
  readonly wallTime: string
}

/** A failed power fence is tried again after this. */
const powerRetryMs = 3_000

export function decideFencing(cluster: ClusterState, question: FencingQuestion): readonly FencingDecision[] {
  const host = cluster.hosts.get(question.hostId)
  const observation = question.observations.get(question.hostId)
  if (host === undefined || observation === undefined) return []
  if (host.status.state !== 'suspect' && host.status.state !== 'offline') return []
  const stake = machinesAtStake(cluster, question.hostId)
  if (stake.length === 0) return []
  const { suspectAfterMs } = cluster.cluster.timings
  if (question.progress === undefined && observation.attentiveSilentMs < suspectAfterMs) return []
  if (question.progress === undefined && isOnlyStalled(cluster, observation)) {
    const isAnythingDue = nextSteps(host, stake, { cluster, observation, question }).length > 0
    const reason = 'its kernel answers, so it is rather its agent that stands still for a moment'
    return isAnythingDue ? [{ kind: 'hold', reason }] : []
  }
  const obstacle = question.progress === undefined ? findObstacle(cluster, stake, question) : undefined
  if (obstacle !== undefined) return [{ kind: 'hold', reason: obstacle }]
  const proof = proofSoFar(host, stake, { cluster, observation, question })
  if (proof !== undefined) return [{ kind: 'prove', proof }]
  const steps = nextSteps(host, stake, { cluster, observation, question })
  const reason = `${host.spec.name} has been silent for ${Math.round(observation.attentiveSilentMs)} ms and holds ${stake.length} machine${stake.length === 1 ? '' : 's'} with HA`
  return steps.length > 0 && question.progress === undefined ? [{ kind: 'begin', reason }, ...steps] : steps
}

/**
 * Whatever fences a host ends machines that run well as long as its lease holds, so a stall of the agent alone is no reason for it before the
 * lease has run out: then the host's own watchdog process ends them. A host that died or was cut off does not answer, and is fenced as early
 * as ever.
 */
function isOnlyStalled({ cluster }: ClusterState, observation: HostObservation): boolean {
  const { suspectAfterMs, leaseMs } = cluster.timings
  const isAnswering = observation.kernelAnsweredAgoMs < suspectAfterMs
  return isAnswering && observation.attentiveSilentMs < leaseMs
}

/** The machines for whose sake the host would be fenced: HA, on shared storage, and meant to run. */
export function machinesAtStake(cluster: ClusterState, hostId: HostId): readonly VmRecord[] {
  return [...cluster.vms.values()].filter(
    (vm) =>
      ownersOf(vm).includes(hostId) &&
      vm.spec.lifecycle === 'live' &&
      vm.spec.desired !== 'stopped' &&
      isLeased(vm.spec, cluster.storages),
  )
}

function findObstacle(
  cluster: ClusterState,
  stake: readonly VmRecord[],
  { hostId, mass, massAgoMs }: FencingQuestion,
): string | undefined {
  if (mass.isMass) {
    return `${mass.silent} of ${mass.total} hosts fell silent together: rather this controller or the network is cut off, so nobody is fenced`
  }
  // Hosts that were cut off together don't come back in the same instant.
  if (massAgoMs < cluster.cluster.timings.leaseMs)
    return 'the network has only just come back: the others get time to report'
  const excluded = new Map([[hostId, 'it is the silent one']])
  const hasPlace = stake.some(
    ({ spec }) => placeVm(cluster, spec, { excluded, takesOver: true, recovers: true }).kind === 'placed',
  )
  return hasPlace ? undefined : 'no other host could take any of its machines, so a pill would only kill them'
}

type Context = {
  readonly cluster: ClusterState
  readonly observation: HostObservation
  readonly question: FencingQuestion
}

function proofSoFar(host: HostRecord, stake: readonly VmRecord[], context: Context): Proof | undefined {
  const { progress, wallTime } = context.question
  const base = { hostId: host.spec.id, hostName: host.spec.name, provedAt: wallTime }
  if (progress?.power.kind === 'off' && host.spec.fence !== null) {
    return { kind: 'power', ...base, fenceAgent: baseName(host.spec.fence.agent), tookMs: progress.power.tookMs }
  }
  if (progress === undefined || host.status.armed === 'none') return undefined
  const timings = countedTimings(context.cluster.cluster)
  const leaseBoundMs = leaseProofAfterMs(timings)
  if (context.observation.silentMs < leaseBoundMs) return undefined
  const pills: { storageId: StorageId; generation: number; stoodMs: number }[] = []
  const storageIds = storagesOf(stake.filter(isKilledByLease))
  // A proof by lease that reaches no machine would only hide that another proof is still wanted.
  if (storageIds.length === 0) return undefined
  for (const storageId of storageIds) {
    const pill = progress.pills.get(storageId)
    if (pill?.kind !== 'standing' || pill.stoodMs < pillProofAfterMs(timings)) return undefined
    pills.push({ storageId, generation: progress.generation, stoodMs: pill.stoodMs })
  }
  return {
    kind: 'lease',
    ...base,
    armed: host.status.armed,
    silentMs: context.observation.silentMs,
    leaseBoundMs,
    pills,
  }
}

function nextSteps(host: HostRecord, stake: readonly VmRecord[], context: Context): readonly FencingDecision[] {
  const { cluster, observation, question } = context
  const steps: FencingDecision[] = []
  const power = question.progress?.power ?? { kind: 'unused' }
  if (
    host.spec.fence !== null &&
    (power.kind === 'unused' || (power.kind === 'failed' && power.agoMs >= powerRetryMs))
  ) {
    steps.push({ kind: 'use-power-fence', reason: `${host.spec.name} is suspect and has a power fence` })
  }
  if (host.status.armed === 'none' || observation.attentiveSilentMs < cluster.cluster.timings.pillAfterMs) return steps
  for (const storageId of storagesOf(stake.filter(isKilledByLease))) {
    if (question.progress?.pills.has(storageId) === true) continue
    const viaHostId = findWriter(storageId, context)
    if (viaHostId !== undefined)
      steps.push({ kind: 'write-pill', storageId, viaHostId, reason: `${host.spec.name} stays silent` })
  }
  return steps
}

/** An online host that reads this storage: it writes the pill, so that the leader needs no storage of its own. */
function findWriter(storageId: StorageId, { cluster, question }: Context): HostId | undefined {
  return [...cluster.hosts.values()].find(
    ({ spec, status }) =>
      spec.id !== question.hostId &&
      status.state === 'online' &&
      question.observations.get(spec.id)?.reachableStorages.has(storageId) === true,
  )?.spec.id
}

/** Started under a lease: only then its agent ends it when the lease does, and only then the lease's end proves anything. */
function isKilledByLease({ placement }: VmRecord): boolean {
  return placement?.leased === true
}

function storagesOf(stake: readonly VmRecord[]): readonly StorageId[] {
  return [...new Set(stake.flatMap(({ spec }) => spec.disks.map((disk) => disk.storageId)))]
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
