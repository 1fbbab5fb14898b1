/**
 * Makes true what owners want: looks at each VM that something changed for, decides (pure), and carries the decision out. Takes no
 * arguments beyond the whole state; may be run at any moment and any number of times.
 */
import { decideVm } from '../../control/decide-vm.ts'
import { deriveStatus } from '../../control/derive-status.ts'
import { byRecoveryOrder } from '../../control/placement/simulate-loss.ts'
import type { ClaimedDisks, VmDecision, VmQuestion } from '../../control/vm-decision.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import type { Condition } from '../../store/store.ts'
import type { AgentPort } from '../agent-port.ts'
import type { HostTable } from '../hosts/host-table.ts'
import type { Leader } from '../leader.ts'
import { commitAdoption, commitSettled, noteLeftCopies } from './adopt-life.ts'
import { commitAcceptedStop, commitPlacement, conditionsOf } from './commit-decision.ts'
import { createOrderGiver, type OrderGiver } from './give-orders.ts'
import { createStartMemory } from './start-memory.ts'
import { hostHasReported, questionOf, reportOf, type VmFacts } from './vm-facts.ts'
import { writeVmStatus } from './write-vm-status.ts'

export type VmReconciler = {
  /** Something changed for this VM. */
  touch(vmId: VmId): void
  touchHost(hostId: HostId): void
  /** Looks at everything that was touched, lower start orders first, until nothing is left. */
  run(): Promise<void>
  /** Touches what waits for time to pass. To be called about twice a second. */
  touchWaiting(): void
  /** What is known of each machine at this moment: what decisions rest on. */
  questions(): ReadonlyMap<VmId, VmQuestion>
}

export type VmReconcilerOptions = {
  readonly leader: Leader
  readonly table: HostTable
  readonly agents: AgentPort
  startsOnHold(): string | undefined
  epochFloor(): number
  claims(vmId: VmId): readonly ClaimedDisks[]
  /** True when the host has heard what this machine may send and be sent: before that it is not to start it. */
  knowsFirewall(hostId: HostId, vmId: VmId): boolean
  /** Something was touched outside of `run`. */
  wake(): void
}

type Desk = {
  readonly facts: VmFacts
  readonly touched: Set<VmId>
  readonly waiting: Set<VmId>
  readonly orders: OrderGiver
}

export function createVmReconciler(options: VmReconcilerOptions): VmReconciler {
  const { leader } = options
  const touched = new Set<VmId>()
  const waiting = new Set<VmId>()
  const memory = createStartMemory()
  const facts: VmFacts = { ...options, memory }
  const answered = (vmId: VmId, when: 'now' | 'later') => {
    if (when === 'later') return void waiting.add(vmId)
    touched.add(vmId)
    options.wake()
  }
  const desk: Desk = { facts, touched, waiting, orders: createOrderGiver({ ...options, memory, answered }) }

  return {
    touch: (vmId) => void touched.add(vmId),
    touchHost(hostId) {
      for (const [vmId, { placement, spec }] of leader.index.state().vms) {
        const isConcerned = placement === undefined || placement.hostId === hostId || spec.desired !== 'stopped'
        if (isConcerned || options.table.report(hostId, vmId) !== undefined) touched.add(vmId)
      }
    },
    touchWaiting() {
      for (const vmId of waiting) touched.add(vmId)
    },
    run: () => runUntilNothingIsLeft(desk),
    questions: () => new Map([...leader.index.state().vms].map(([vmId, vm]) => [vmId, questionOf(facts, vm)])),
  }
}

async function runUntilNothingIsLeft(desk: Desk): Promise<void> {
  const { facts, touched, orders } = desk
  while (touched.size > 0) {
    const { vms } = facts.leader.index.state()
    const batch = [...touched]
      .filter((vmId) => !orders.isBusy(vmId))
      .sort((left, right) => inRecoveryOrder(vms.get(left), vms.get(right)))
    if (batch.length === 0) return
    for (const vmId of batch) {
      touched.delete(vmId)
      await reconcile(desk, vmId).catch((error: unknown) => {
        // It is looked at again with those that wait; the others are not held up.
        desk.waiting.add(vmId)
        if (!facts.leader.signal.aborted) facts.leader.logger.error('vm.reconcile-failed', { vmId, error })
      })
    }
  }
}

/** Those that are gone have nothing to wait for. */
function inRecoveryOrder(left: VmRecord | undefined, right: VmRecord | undefined): number {
  if (left === undefined || right === undefined) return (left === undefined ? 0 : 1) - (right === undefined ? 0 : 1)
  return byRecoveryOrder(left, right)
}

async function reconcile(desk: Desk, vmId: VmId): Promise<void> {
  const { facts, waiting } = desk
  const { leader, memory } = facts
  const vm = leader.index.state().vms.get(vmId)
  if (vm === undefined) {
    memory.forget(vmId)
    waiting.delete(vmId)
    return
  }
  memory.note(vmId, reportOf(facts, vm), leader.clock.bootTimeMs())
  // Taken in the same moment: what is committed later holds only if nothing has changed since.
  const conditions = conditionsOf(leader, vm)
  const decision = decideVm(leader.index.state(), vm, questionOf(facts, vm))
  noteTurn(facts, vm, decision)
  if (decision.kind === 'wait' || isStartAwaited(facts, vm, decision)) waiting.add(vmId)
  else waiting.delete(vmId)
  // What is about to be placed, or accepted as stopped, changes its state in a moment: people are told of that, and not of the instant before.
  const isWrite = decision.kind === 'place' || decision.kind === 'adopt' || decision.kind === 'accept-stop'
  if (!isWrite) await writeStatus(facts, vmId, decision)
  await carryOut(desk, vm, { decision, conditions })
}

/** Its order was answered and nothing is reported yet. Were the order spent, no report would ever come: only time tells. */
function isStartAwaited(facts: VmFacts, vm: VmRecord, decision: VmDecision): boolean {
  const { spec, placement } = vm
  if (decision.kind !== 'settled' || placement === undefined) return false
  return spec.lifecycle === 'live' && spec.desired !== 'stopped' && reportOf(facts, vm) === undefined
}

async function carryOut(
  desk: Desk,
  vm: VmRecord,
  how: { readonly decision: VmDecision; readonly conditions: readonly Condition[] },
): Promise<void> {
  const { facts, touched, orders } = desk
  const { decision, conditions } = how
  switch (decision.kind) {
    case 'settled':
    case 'wait':
      return
    case 'place':
      if (!(await commitPlacement(facts.leader, vm, { decision, conditions }))) await facts.leader.clock.sleep(2)
      touched.add(vm.spec.id)
      return
    case 'accept-stop':
      await commitAcceptedStop(facts.leader, vm, { decision, conditions })
      touched.add(vm.spec.id)
      return
    case 'adopt':
      if (!hostHasReported(facts, decision.hostId)) return void desk.waiting.add(vm.spec.id)
      if (!(await commitAdoption(facts.leader, vm, { decision, conditions }))) await facts.leader.clock.sleep(2)
      touched.add(vm.spec.id)
      return
    case 'settle-rebuilt': {
      const { reason } = decision
      if (!(await commitSettled(facts.leader, vm, { reason, conditions }))) await facts.leader.clock.sleep(2)
      touched.add(vm.spec.id)
      return
    }
    case 'release':
      await noteLeftCopies(facts.leader, decision.leaves ?? [])
      return orders.give(vm, decision)
    case 'start':
    case 'stop':
    case 'change':
    case 'configure':
      return orders.give(vm, decision)
  }
}

/** Whose turn it is: a machine that is being started, or will be as soon as its host has reported, keeps higher start orders waiting. */
function noteTurn({ leader, memory, ...facts }: VmFacts, vm: VmRecord, decision: VmDecision): void {
  const { spec, placement } = vm
  const phase = reportOf({ leader, ...facts }, vm)?.phase
  const isOrdered = decision.kind === 'place' || decision.kind === 'start' || decision.kind === 'release'
  // Nothing is to be done and nothing is reported: an order was accepted, and the start is under way.
  const isUnderWay = phase === 'starting' || (decision.kind === 'settled' && phase === undefined)
  const isExpected =
    decision.kind === 'wait' &&
    placement !== undefined &&
    isOnline(leader, placement.hostId) &&
    phase === undefined &&
    !hostHasReported({ leader, ...facts }, placement.hostId)
  const takesTurn = spec.desired !== 'stopped' && (isOrdered || isUnderWay || isExpected)
  if (takesTurn) memory.takesTurn(spec.id, spec.startOrder, leader.clock.bootTimeMs())
  else memory.endsTurn(spec.id)
}

function isOnline(leader: Leader, hostId: HostId): boolean {
  return leader.index.state().hosts.get(hostId)?.status.state === 'online'
}

async function writeStatus(facts: VmFacts, vmId: VmId, decision: VmDecision): Promise<void> {
  const state = facts.leader.index.state()
  const vm = state.vms.get(vmId)
  if (vm === undefined) return
  const { placement } = vm
  const host = placement === undefined ? undefined : state.hosts.get(placement.hostId)
  const hasReported = placement !== undefined && hostHasReported(facts, placement.hostId)
  const derived = deriveStatus(vm, {
    host,
    report: reportOf(facts, vm),
    hostHasReported: hasReported,
    waitReason: decision.kind === 'wait' ? decision.reason : undefined,
    waitsForItsTurn: decision.kind === 'wait' && decision.isForItsTurn === true,
  })
  if (derived !== undefined) await writeVmStatus(facts.leader, vm, derived)
}
