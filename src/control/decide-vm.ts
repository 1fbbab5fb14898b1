/** What to do next for one VM, from what its owner wants, where it is, and what its host says. Pure; carried out by the engine. */
import {
  type ClusterState,
  type HostRecord,
  isAnswering,
  isDeaf,
  isLeased,
  type VmRecord,
} from '../model/cluster-state.ts'
import type { Proof } from '../model/proof.ts'
import { proofReaches } from '../model/proof-reaches.ts'
import { describeOperation } from '../model/snapshots/vm-operation.ts'
import { configurationOf, type MachineReport, type VmPlacement } from '../model/vm.ts'
import { decideOnRebuilt } from './decide-on-rebuilt.ts'
import { decideOnForgotten } from './find-forgotten-life.ts'
import type { LostStorage } from './find-lost-storage.ts'
import { placeAnew } from './place-anew.ts'
import type { VmDecision, VmQuestion } from './vm-decision.ts'

export function decideVm(cluster: ClusterState, vm: VmRecord, question: VmQuestion): VmDecision {
  if (vm.spec.lifecycle !== 'live') return { kind: 'settled' }
  const rebuilt = decideOnRebuilt(vm, question)
  if (rebuilt !== undefined) return rebuilt
  const forgotten = decideOnForgotten(cluster, vm, question)
  if (forgotten !== undefined) return forgotten
  const [stray] = question.strays
  if (stray !== undefined) {
    return {
      kind: 'release',
      hostId: stray.hostId,
      upToEpoch: stray.epoch,
      reason: `a life of it under epoch ${stray.epoch} is not the placed one`,
      ...(stray.elsewhere?.areItsOwn === false ? { leaves: stray.elsewhere.disks } : {}),
    }
  }
  if (vm.migration?.phase === 'moving')
    return { kind: 'wait', reason: 'it is being moved to another host', isForItsTurn: true }
  if (isBeingCopied(cluster, vm))
    return { kind: 'wait', reason: 'a volume of it is being moved to another storage', isForItsTurn: true }
  const decision = decideOnOwner(cluster, vm, question)
  const isStart = decision.kind === 'place' || decision.kind === 'start'
  if (vm.operation?.needsClosed === true && isStart) return { kind: 'wait', reason: describeOperation(vm.operation) }
  // It goes on at its new host as it came; nothing of it is started before the old one has let go.
  if (vm.migration !== undefined && isStart)
    return { kind: 'wait', reason: 'waits until the host that it was moved from has let go of it', isForItsTurn: true }
  return decision
}

/** While it is stopped: it would change what is copied. */
function isBeingCopied({ volumes }: ClusterState, { spec }: VmRecord): boolean {
  if (spec.desired === 'stopped') return false
  return spec.disks.some(({ volumeId }) => volumes.get(volumeId)?.move?.epoch === null)
}

/** It stands still for a moment while one of its disks changes over. */
function hasMovingVolume({ volumes }: ClusterState, { spec }: VmRecord): boolean {
  return spec.disks.some(({ volumeId }) => (volumes.get(volumeId)?.move ?? null) !== null)
}

function decideOnOwner(cluster: ClusterState, vm: VmRecord, question: VmQuestion): VmDecision {
  const { placement } = vm
  if (placement === undefined) {
    return vm.spec.desired === 'stopped' ? { kind: 'settled' } : placeAnew(cluster, vm, { question })
  }
  const host = cluster.hosts.get(placement.hostId)
  const current = question.report?.epoch === placement.epoch ? question.report : undefined
  if (vm.spec.desired === 'stopped') return decideStop(vm, { host, placement, report: question.report })
  if (host !== undefined && isAnswering(host))
    return decideOnAnsweringHost(cluster, vm, { host, placement, current, question })
  return decideOnSilentHost(cluster, vm, { host, placement, question })
}

type Placed = { readonly host: HostRecord | undefined; readonly placement: VmPlacement }
type Situation = {
  readonly host: HostRecord
  readonly placement: VmPlacement
  readonly current: MachineReport | undefined
  readonly question: VmQuestion
}

function decideStop(
  vm: VmRecord,
  { host, placement, report }: Placed & { readonly report: MachineReport | undefined },
): VmDecision {
  if (report === undefined || report.phase === 'stopped' || host === undefined || !isAnswering(host))
    return { kind: 'settled' }
  const { hostId } = placement
  // A life under another epoch has nobody's wish any more; it is not asked politely.
  if (report.epoch !== placement.epoch) {
    return {
      kind: 'release',
      hostId,
      upToEpoch: report.epoch,
      reason: `it is there under epoch ${report.epoch}, not ${placement.epoch}`,
    }
  }
  if (report.phase === 'stopping' && vm.spec.stopMode === 'shutdown') return { kind: 'settled' }
  // A machine that has no process, or whose guest can't listen, doesn't hear a power button.
  const canListen = report.phase === 'running' || report.phase === 'paused'
  const mode = vm.spec.stopMode === 'shutdown' && canListen ? 'shutdown' : 'kill'
  return { kind: 'stop', hostId, epoch: placement.epoch, mode }
}

function decideOnAnsweringHost(cluster: ClusterState, vm: VmRecord, situation: Situation): VmDecision {
  const { host, placement, current, question } = situation
  if (!question.hostHasReported) return { kind: 'wait', reason: `waits for ${host.spec.name} to report` }
  if (current !== undefined && current.phase !== 'stopped')
    return decideByReport(cluster, vm, { ...situation, current })
  if (question.released !== undefined && question.lostStorage !== undefined)
    return placeWhereItIsRead(cluster, vm, situation, question.lostStorage)
  // It was let go there because it had failed: it goes on elsewhere, though its host has nothing to say of it any more.
  if (question.released !== undefined && question.failures.count > 0) return placeAfterFailure(cluster, vm, situation)
  if (current !== undefined) return decideByReport(cluster, vm, { ...situation, current })
  if (placement.session === host.status.session) return decideOnOrder(cluster, vm, situation)
  if (placement.bootId !== host.status.bootId) return decideAfterReboot(cluster, vm, situation)
  // Same boot, another session: the agent restarted and holds nothing of it.
  if (host.spec.maintenance !== null && vm.spec.boundToHostId === null) {
    const proof = question.released === undefined ? {} : { proof: question.released }
    return placeAnew(cluster, vm, { question, ...proof, oldPlacement: placement, isRecovery: true })
  }
  // It starts there anew, under a new epoch.
  return placeAnew(cluster, vm, { question, stayOn: placement.hostId, isRecovery: true })
}

function decideOnOrder(cluster: ClusterState, vm: VmRecord, { placement, question }: Situation): VmDecision {
  // Once the host has let go of an epoch, an order under it is void there.
  switch (question.released === undefined ? question.startOrder : 'spent') {
    case 'not-given':
      return { kind: 'start', hostId: placement.hostId, epoch: placement.epoch }
    case 'accepted':
      return { kind: 'settled' }
    case 'spent':
      return placeAnew(cluster, vm, { question, preferred: placement.hostId, oldPlacement: placement })
  }
}

function decideAfterReboot(cluster: ClusterState, vm: VmRecord, { host, placement, question }: Situation): VmDecision {
  if (!vm.spec.autostart && !vm.spec.ha)
    return { kind: 'accept-stop', reason: `${host.spec.name} has booted anew, and the machine has no autostart` }
  const proof: Proof = {
    kind: 'rebooted',
    hostId: host.spec.id,
    hostName: host.spec.name,
    provedAt: host.status.since,
    oldBootId: placement.bootId,
    newBootId: host.status.bootId ?? '',
  }
  return placeAnew(cluster, vm, { question, proof, isRecovery: true })
}

function decideByReport(
  cluster: ClusterState,
  vm: VmRecord,
  situation: Situation & { readonly current: MachineReport },
): VmDecision {
  const { placement, current, question } = situation
  const order = { hostId: placement.hostId, epoch: placement.epoch }
  switch (current.phase) {
    case 'starting':
    case 'restarting':
      return { kind: 'settled' }
    case 'frozen':
      // Of a move that nobody remembers. What it was sent to may have run since: only its disk is still true.
      if (current.isHandedOver && vm.migration === undefined && !hasMovingVolume(cluster, vm))
        return placeAnew(cluster, vm, { question, stayOn: placement.hostId })
      return decideOnFrozen(cluster, vm, situation)
    case 'running':
      if (vm.spec.desired === 'paused') return { kind: 'change', ...order, change: 'pause' }
      return current.recovery.configuration === configurationOf(vm.spec)
        ? { kind: 'settled' }
        : { kind: 'configure', ...order }
    case 'paused':
      return vm.spec.desired === 'running' ? { kind: 'change', ...order, change: 'resume' } : { kind: 'settled' }
    case 'stopping':
      // It was being stopped and is wanted again: it starts when it is down.
      return { kind: 'wait', reason: 'waits until its shutdown is complete, then starts again' }
    case 'stopped':
      if (current.guestShutdown && vm.status?.state !== 'stopped')
        return { kind: 'accept-stop', reason: 'the guest switched itself off' }
      return placeAnew(cluster, vm, { question, preferred: placement.hostId, oldPlacement: placement })
    case 'failed':
      return placeAfterFailure(cluster, vm, situation)
  }
}

/** Where only its host has lost the storage, it goes on where that is read, if there is room; else it waits for its storage where it is. */
function decideOnFrozen(cluster: ClusterState, vm: VmRecord, situation: Situation): VmDecision {
  const isMovable = isLeased(vm.spec, cluster.storages) && vm.migration === undefined && !hasMovingVolume(cluster, vm)
  if (!isMovable || vm.spec.desired !== 'running') return { kind: 'settled' }
  const waits: VmDecision = { kind: 'wait', reason: 'waits until it may write again' }
  const lost = situation.question.lostStorage
  if (lost === undefined) return waits
  const elsewhere = placeWhereItIsRead(cluster, vm, situation, lost)
  return elsewhere.kind === 'wait' ? waits : elsewhere
}

// oxlint-disable-next-line max-params -- what it is about, and the storage.
function placeWhereItIsRead(
  cluster: ClusterState,
  vm: VmRecord,
  { placement, question }: Situation,
  { name, unreadBy }: LostStorage,
): VmDecision {
  const excluded = new Map(unreadBy.map((hostId) => [hostId, `it does not reach the storage ${name}`]))
  return placeAnew(cluster, vm, { question, oldPlacement: placement, isRecovery: true, excluded, onlyIfStill: true })
}

/** After two failures on one host, or when its ladder asks for it, another one is tried, if the machine may move and another takes it; else the same again. */
function placeAfterFailure(
  cluster: ClusterState,
  vm: VmRecord,
  { placement, question, current }: Situation,
): VmDecision {
  const base = { question, oldPlacement: placement, isRecovery: true }
  const isToMove = question.failures.count >= 2 || current?.wantsOtherHost === true || question.released !== undefined
  const elsewhere = vm.spec.ha && isToMove ? placeAnew(cluster, vm, { ...base, avoided: placement.hostId }) : undefined
  if (elsewhere !== undefined && !(elsewhere.kind === 'wait' && elsewhere.verdicts !== undefined)) return elsewhere
  return placeAnew(cluster, vm, { ...base, preferred: placement.hostId })
}

function decideOnSilentHost(
  cluster: ClusterState,
  vm: VmRecord,
  { host, placement, question }: Placed & { readonly question: VmQuestion },
): VmDecision {
  const name = host?.spec.name ?? placement.hostId
  const hostProof = host?.status.proof ?? undefined
  const reaching = hostProof !== undefined && proofReaches(vm, hostProof) ? hostProof : undefined
  const proof = question.released ?? proofOfStop(vm, host) ?? reaching
  if (proof === undefined && host !== undefined && isDeaf(host))
    return { kind: 'wait', reason: `${name} hears nothing at the moment: what is ordered there waits until it does` }
  if (proof === undefined)
    return {
      kind: 'wait',
      reason: `${name} is not proven dead: ${whatToDo(vm, host)}, or confirm that it is off: dialtone host confirm-dead ${name}`,
    }
  if (vm.spec.boundToHostId !== null)
    return { kind: 'wait', reason: `its disk is local to ${name}: it starts there when the host is back` }
  if (!vm.spec.ha && proof.kind !== 'operator' && proof.kind !== 'released') {
    return {
      kind: 'wait',
      reason: `it has no HA: it starts again when ${name} is back, or now after: dialtone host confirm-dead ${name}`,
    }
  }
  return placeAnew(cluster, vm, { question, proof, isRecovery: true })
}

/** It had stopped by order, under this very epoch, and its agent had said so: an agent starts nothing again that was to be stopped. */
function proofOfStop({ status, placement }: VmRecord, host: HostRecord | undefined): Proof | undefined {
  if (status?.state !== 'stopped' || placement === undefined || status.epoch !== placement.epoch || host === undefined)
    return undefined
  const base = { hostId: host.spec.id, hostName: host.spec.name, provedAt: status.since }
  return { kind: 'released', ...base, session: placement.session, upToEpoch: placement.epoch }
}

/** What ends the uncertainty by itself, where something does. */
function whatToDo({ placement }: VmRecord, host: HostRecord | undefined): string {
  const canBeFenced = placement?.leased === true || (host !== undefined && host.spec.fence !== null)
  if (!canBeFenced) return 'bring it back'
  return host?.status.fencing === null ? 'wait until it answers or is fenced' : 'it is being fenced'
}
