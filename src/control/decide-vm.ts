/** What to do next for one VM, from what its owner wants, where it is, and what its host says. Pure; carried out by the engine. */
import { type ClusterState, type HostRecord, isLeased, type VmRecord } from '../model/cluster-state.ts'
import type { HostId } from '../model/ids.ts'
import type { Proof } from '../model/proof.ts'
import type { MachineReport, VmPlacement } from '../model/vm.ts'
import { describeVerdicts, type HostVerdict, placeVm } from './place-vm.ts'

export type VmDecision =
  | { readonly kind: 'settled' }
  | { readonly kind: 'wait'; readonly reason: string; readonly verdicts?: readonly HostVerdict[] }
  /** Commit this placement with a new epoch; the order to start follows from it. */
  | {
      readonly kind: 'place'
      readonly hostId: HostId
      readonly epoch: number
      readonly proof: Proof | null
      readonly isRecovery: boolean
      readonly reason: string
    }
  | { readonly kind: 'start'; readonly hostId: HostId; readonly epoch: number }
  | { readonly kind: 'stop'; readonly hostId: HostId; readonly epoch: number; readonly mode: 'shutdown' | 'kill' }
  | { readonly kind: 'change'; readonly hostId: HostId; readonly epoch: number; readonly change: 'pause' | 'resume' }
  /** Ask the old host for the proof that it let go, because the machine is to start elsewhere. */
  | { readonly kind: 'release'; readonly hostId: HostId; readonly upToEpoch: number; readonly reason: string }
  /** The guest switched itself off: that is now what its owner wants. */
  | { readonly kind: 'accept-guest-shutdown' }

export type VmQuestion = {
  /** From the newest heartbeat of the placed host's present session; undefined when it holds nothing of this VM. */
  readonly report: MachineReport | undefined
  /** False while no heartbeat of the host's present session has been seen by this leader. */
  readonly hostHasReported: boolean
  /** True once the agent's present session has accepted the order of the present epoch. */
  readonly orderAccepted: boolean
  /** The proof that the placed host gave on being asked to let go of the present epoch. */
  readonly released: Proof | undefined
  /** Set when automatic starts are on hold (a new leader waits; the store went back in time). */
  readonly startsOnHold: string | undefined
  /** Failed starts in a row, and how long ago the last was. */
  readonly failures: { readonly count: number; readonly lastAgoMs: number }
  /** The start order that is due: machines of a higher order wait. */
  readonly startOrderDue: number
  /** No epoch below this may be given out, whatever the store says (it may be older than what hosts have seen). */
  readonly epochFloor: number
}

export function decideVm(cluster: ClusterState, vm: VmRecord, question: VmQuestion): VmDecision {
  if (vm.spec.lifecycle !== 'live') return { kind: 'settled' }
  const { placement } = vm
  if (placement === undefined) return vm.spec.desired === 'stopped' ? { kind: 'settled' } : place(cluster, vm, question)
  const host = cluster.hosts.get(placement.hostId)
  const current = question.report?.epoch === placement.epoch ? question.report : undefined
  if (vm.spec.desired === 'stopped') return decideStop(vm, { host, placement, current })
  if (host !== undefined && answers(host))
    return decideOnAnsweringHost(cluster, vm, { host, placement, current, question })
  return decideOnSilentHost(cluster, vm, { host, placement, question })
}

/** How long to wait after so many failed starts. */
export function startBackoffMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(60_000, 500 * 2 ** Math.min(failures, 8))
}

function answers(host: HostRecord): boolean {
  return (host.status.state === 'online' || host.status.state === 'maintenance') && host.status.fencing === null
}

type Situation = {
  readonly host: HostRecord
  readonly placement: VmPlacement
  readonly current: MachineReport | undefined
  readonly question: VmQuestion
}

function decideStop(
  vm: VmRecord,
  {
    host,
    placement,
    current,
  }: {
    readonly host: HostRecord | undefined
    readonly placement: VmPlacement
    readonly current: MachineReport | undefined
  },
): VmDecision {
  if (current === undefined || current.phase === 'stopped' || host === undefined || !answers(host))
    return { kind: 'settled' }
  if (current.phase === 'stopping' && vm.spec.stopMode === 'shutdown') return { kind: 'settled' }
  // A machine that has no process, or whose guest can't listen, doesn't hear a power button.
  const canListen = current.phase === 'running' || current.phase === 'paused'
  const mode = vm.spec.stopMode === 'shutdown' && canListen ? 'shutdown' : 'kill'
  return { kind: 'stop', hostId: placement.hostId, epoch: placement.epoch, mode }
}

function decideOnAnsweringHost(cluster: ClusterState, vm: VmRecord, situation: Situation): VmDecision {
  const { host, placement, current, question } = situation
  if (!question.hostHasReported) return { kind: 'wait', reason: `waits for ${host.spec.name} to report` }
  if (current !== undefined) return decideByReport(cluster, vm, { ...situation, current })
  // The order may still be on its way to the session that it was given to: giving it again is safe, it is the same order.
  if (placement.session === host.status.session)
    return { kind: 'start', hostId: placement.hostId, epoch: placement.epoch }
  if (placement.bootId !== host.status.bootId) {
    const proof: Proof = {
      kind: 'rebooted',
      hostId: host.spec.id,
      hostName: host.spec.name,
      provedAt: host.status.since,
      oldBootId: placement.bootId,
      newBootId: host.status.bootId ?? '',
    }
    if (!vm.spec.autostart && !vm.spec.ha)
      return {
        kind: 'wait',
        reason: `${host.spec.name} has booted anew and the machine has no autostart: start it by hand`,
      }
    return place(cluster, vm, question, { proof, isRecovery: true })
  }
  // Same boot, another session: the agent restarted and holds nothing of it. It starts there anew, under a new epoch.
  return place(cluster, vm, question, { stayOn: placement.hostId, isRecovery: true })
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
    case 'frozen':
      return { kind: 'settled' }
    case 'running':
      return vm.spec.desired === 'paused' ? { kind: 'change', ...order, change: 'pause' } : { kind: 'settled' }
    case 'paused':
      return vm.spec.desired === 'running' ? { kind: 'change', ...order, change: 'resume' } : { kind: 'settled' }
    case 'stopping':
      // It was being stopped and is wanted again: it starts when it is down.
      return { kind: 'wait', reason: 'waits until its shutdown is complete, then starts again' }
    case 'stopped':
      if (current.guestShutdown && vm.status?.state !== 'stopped') return { kind: 'accept-guest-shutdown' }
      return place(cluster, vm, question, { preferred: placement.hostId, oldPlacement: placement })
    case 'failed':
      return place(cluster, vm, question, {
        ...wishesAfterFailure(vm, situation),
        oldPlacement: placement,
        isRecovery: true,
      })
  }
}

/** After two failures on one host another one is tried, if the machine may move. */
function wishesAfterFailure(vm: VmRecord, { placement, question }: Situation): PlaceOptions {
  if (question.failures.count < 2 || !vm.spec.ha) return { preferred: placement.hostId }
  return { avoided: placement.hostId }
}

function decideOnSilentHost(
  cluster: ClusterState,
  vm: VmRecord,
  {
    host,
    placement,
    question,
  }: { readonly host: HostRecord | undefined; readonly placement: VmPlacement; readonly question: VmQuestion },
): VmDecision {
  const name = host?.spec.name ?? placement.hostId
  const proof = question.released ?? proofOfStop(vm, host) ?? proofFor(cluster, vm, host)
  if (proof === undefined)
    return {
      kind: 'wait',
      reason: `${name} is ${host?.status.state ?? 'gone'} and not proven dead: ${whatToDo(vm, cluster, name)}`,
    }
  if (vm.spec.boundToHostId !== null)
    return { kind: 'wait', reason: `its disk is local to ${name}: it starts there when the host is back` }
  if (!vm.spec.ha && proof.kind !== 'operator' && proof.kind !== 'released') {
    return {
      kind: 'wait',
      reason: `it has no HA: it starts again when ${name} is back, or now after: dialtone host confirm-dead ${name}`,
    }
  }
  return place(cluster, vm, question, { proof, isRecovery: true })
}

/** It had stopped by order, under this very epoch, and its agent had said so: an agent starts nothing again that was to be stopped. */
function proofOfStop({ status, placement }: VmRecord, host: HostRecord | undefined): Proof | undefined {
  if (status?.state !== 'stopped' || placement === undefined || status.epoch !== placement.epoch || host === undefined)
    return undefined
  const base = { hostId: host.spec.id, hostName: host.spec.name, provedAt: status.since }
  return { kind: 'released', ...base, session: placement.session, upToEpoch: placement.epoch }
}

/** The host's own proof, if it reaches this machine: a lease kills only what it may kill; power and people reach everything. */
function proofFor(cluster: ClusterState, vm: VmRecord, host: HostRecord | undefined): Proof | undefined {
  const proof = host?.status.proof ?? undefined
  if (proof?.kind === 'lease' && !isLeased(vm.spec, cluster.storages)) return undefined
  return proof
}

function whatToDo(vm: VmRecord, cluster: ClusterState, hostName: string): string {
  const isProtected = isLeased(vm.spec, cluster.storages)
  return isProtected
    ? `it is being fenced, or confirm that it is off: dialtone host confirm-dead ${hostName}`
    : `bring it back, or confirm that it is off: dialtone host confirm-dead ${hostName}`
}

type PlaceOptions = {
  readonly proof?: Proof
  readonly isRecovery?: boolean
  readonly preferred?: HostId
  readonly avoided?: HostId
  /** Only there: nothing proves it dead for other hosts. */
  readonly stayOn?: HostId
  /** Where it was, on a host that answers: a move away from there has to be released first. */
  readonly oldPlacement?: VmPlacement
}

function place(cluster: ClusterState, vm: VmRecord, question: VmQuestion, options: PlaceOptions = {}): VmDecision {
  if (question.startsOnHold !== undefined) return { kind: 'wait', reason: question.startsOnHold }
  const backoffMs = startBackoffMs(question.failures.count)
  if (question.failures.lastAgoMs < backoffMs) {
    return {
      kind: 'wait',
      reason: `${question.failures.count} start${question.failures.count === 1 ? '' : 's'} failed; tries again ${Math.ceil(backoffMs / 1000)} s after the last`,
    }
  }
  if (vm.spec.startOrder > question.startOrderDue)
    return { kind: 'wait', reason: `waits for machines of start order ${question.startOrderDue}` }
  const excluded = options.avoided === undefined ? undefined : new Map([[options.avoided, 'it failed to start there']])
  const choice = placeVm(cluster, vm.spec, { preferred: options.preferred, required: options.stayOn, excluded })
  if (choice.kind === 'no-host-fits')
    return { kind: 'wait', reason: `no host fits: ${describeVerdicts(choice.verdicts)}`, verdicts: choice.verdicts }
  const epoch = Math.max((vm.placement?.epoch ?? 0) + 1, question.epochFloor)
  const { oldPlacement } = options
  if (oldPlacement !== undefined && choice.hostId !== oldPlacement.hostId && question.released === undefined) {
    return { kind: 'release', hostId: oldPlacement.hostId, upToEpoch: oldPlacement.epoch, reason: choice.reason }
  }
  const proof = options.proof ?? question.released ?? null
  return {
    kind: 'place',
    hostId: choice.hostId,
    epoch,
    proof,
    isRecovery: options.isRecovery ?? false,
    reason: choice.reason,
  }
}
