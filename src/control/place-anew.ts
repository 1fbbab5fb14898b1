/** A new placement under a new epoch, or why there is none now. */
import type { ClusterState, VmRecord } from '../model/cluster-state.ts'
import type { HostId } from '../model/ids.ts'
import type { StartKind } from '../model/machine-order.ts'
import type { Proof } from '../model/proof.ts'
import type { VmPlacement } from '../model/vm.ts'
import { nextEpoch } from './next-epoch.ts'
import { describeVerdicts, placeVm } from './place-vm.ts'
import type { VmDecision, VmQuestion } from './vm-decision.ts'

export type PlaceAnewOptions = {
  readonly question: VmQuestion
  readonly proof?: Proof
  readonly isRecovery?: boolean
  readonly preferred?: HostId
  readonly avoided?: HostId
  /** Hosts that are out of the question, each with the reason. */
  readonly excluded?: ReadonlyMap<HostId, string>
  /** It is let go only when nothing of it is on its way to a disk. */
  readonly onlyIfStill?: true
  /** Only there: nothing proves it dead for other hosts. */
  readonly stayOn?: HostId
  /** Where it was, on a host that answers: a move away from there has to be released first. */
  readonly oldPlacement?: VmPlacement
}

/** How long to wait after so many failed starts. */
export function startBackoffMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(60_000, 500 * 2 ** Math.min(failures, 8))
}

export function placeAnew(cluster: ClusterState, vm: VmRecord, options: PlaceAnewOptions): VmDecision {
  const { question, oldPlacement } = options
  const obstacle = findObstacle(vm, question)
  if (obstacle !== undefined) return { kind: 'wait', reason: obstacle, isForItsTurn: true }
  const failed = options.avoided === undefined ? undefined : new Map([[options.avoided, 'it failed to start there']])
  const excluded = options.excluded ?? failed
  const preferred = options.preferred ?? preferredFor(vm, options)
  const choice = placeVm(cluster, vm.spec, {
    preferred,
    required: options.stayOn,
    excluded,
    takesOver: options.isRecovery === true,
    recovers: options.isRecovery === true,
  })
  if (choice.kind === 'no-host-fits') {
    return { kind: 'wait', reason: `no host fits: ${describeVerdicts(choice.verdicts)}`, verdicts: choice.verdicts }
  }
  if (oldPlacement !== undefined && choice.hostId !== oldPlacement.hostId && question.released === undefined) {
    const still = options.onlyIfStill === true ? { onlyIfStill: true as const } : {}
    return {
      kind: 'release',
      hostId: oldPlacement.hostId,
      upToEpoch: oldPlacement.epoch,
      reason: choice.reason,
      ...still,
    }
  }
  return {
    kind: 'place',
    hostId: choice.hostId,
    epoch: Math.max(nextEpoch(vm), question.epochFloor),
    proof: options.proof ?? question.released ?? null,
    isRecovery: options.isRecovery ?? false,
    start: startOf(vm, options),
    reason: choice.reason,
  }
}

/** The host that has its image already takes over at once; the first start is where its owner asked for it. */
function preferredFor({ spec, placement, standby }: VmRecord, { isRecovery }: PlaceAnewOptions): HostId | undefined {
  if (isRecovery === true) return standby?.hostId
  return placement === undefined ? (spec.firstHostId ?? undefined) : undefined
}

/** How often a recovery is begun from memory before it is tried by booting. */
const resumesTried = 2

/** A recovery resumes; what its owner starts by hand boots from its disk as it is; a clone has to become a machine of its own first. */
function startOf({ spec }: VmRecord, { isRecovery, question }: PlaceAnewOptions): StartKind {
  if (spec.clonedFrom !== null) return 'clone'
  if (spec.resumesFrom !== null && question.failures.count < resumesTried) return 'resume'
  const isDeclared = spec.recovery.mode !== 'boot'
  return isRecovery === true && isDeclared && question.failures.count < resumesTried ? 'resume' : 'boot'
}

function findObstacle(vm: VmRecord, { startsOnHold, failures, startOrderDue }: VmQuestion): string | undefined {
  if (startsOnHold !== undefined) return startsOnHold
  const backoffMs = startBackoffMs(failures.count)
  if (failures.lastAgoMs < backoffMs) {
    return `${failures.count} start${failures.count === 1 ? '' : 's'} failed; tries again ${Math.ceil(backoffMs / 1000)} s after the last`
  }
  return vm.spec.startOrder > startOrderDue ? `waits for machines of start order ${startOrderDue}` : undefined
}
