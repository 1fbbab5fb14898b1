/**
 * Makes true what owners want: looks at each VM that something changed for, decides (pure), and carries the decision out. Takes no
 * arguments beyond the whole state; may be run at any moment and any number of times.
 */
import { decideVm, type VmDecision } from '../../control/decide-vm.ts'
import { deriveStatus } from '../../control/derive-status.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import { describeProof, type Proof } from '../../model/proof.ts'
import type { VmPlacement } from '../../model/vm.ts'
import type { AgentPort } from '../agent-port.ts'
import type { HostTable } from '../hosts/host-table.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { machineOrderOf } from './machine-order-of.ts'
import { createStartMemory } from './start-memory.ts'
import { writeVmStatus } from './write-vm-status.ts'

export type VmReconciler = {
  /** Something changed for this VM. */
  touch(vmId: VmId): void
  touchHost(hostId: HostId): void
  /** Looks at everything that was touched, lower start orders first, until nothing is left. */
  run(): Promise<void>
  /** Touches what waits for time to pass. To be called about twice a second. */
  touchWaiting(): void
}

export type VmReconcilerOptions = {
  readonly leader: Leader
  readonly table: HostTable
  readonly agents: AgentPort
  startsOnHold(): string | undefined
  epochFloor(): number
  /** Something was touched outside of `run`. */
  wake(): void
}

export function createVmReconciler(options: VmReconcilerOptions): VmReconciler {
  const { leader, table, agents } = options
  const touched = new Set<VmId>()
  const waiting = new Set<VmId>()
  /** VMs with an order under way: they are looked at again when it is answered. */
  const busy = new Set<VmId>()
  const memory = createStartMemory()

  return {
    touch: (vmId) => void touched.add(vmId),
    touchHost(hostId) {
      for (const [vmId, { placement, spec }] of leader.index.state().vms) {
        if (placement === undefined || placement.hostId === hostId || spec.desired !== 'stopped') touched.add(vmId)
      }
    },
    touchWaiting() {
      for (const vmId of waiting) touched.add(vmId)
    },
    async run() {
      while (touched.size > 0) {
        const { vms } = leader.index.state()
        const batch = [...touched].filter((vmId) => !busy.has(vmId))
        if (batch.length === 0) return
        batch.sort((left, right) => (vms.get(left)?.spec.startOrder ?? 0) - (vms.get(right)?.spec.startOrder ?? 0))
        for (const vmId of batch) {
          touched.delete(vmId)
          await reconcile(vmId)
        }
      }
    },
  }

  async function reconcile(vmId: VmId): Promise<void> {
    const vm = leader.index.state().vms.get(vmId)
    if (vm === undefined) {
      memory.forget(vmId)
      waiting.delete(vmId)
      return
    }
    const nowMs = leader.clock.bootTimeMs()
    memory.note(vmId, reportOf(vm), nowMs)
    const decision = decideVm(leader.index.state(), vm, questionOf(vm, nowMs))
    noteTurn(vm, decision, nowMs)
    if (decision.kind === 'wait') waiting.add(vmId)
    else waiting.delete(vmId)
    // What is about to be placed changes its state in a moment; people are told of that, and not of the instant before.
    if (decision.kind !== 'place') await writeStatus(vmId, decision.kind === 'wait' ? decision.reason : undefined)
    await carryOut(vm, decision)
  }

  function questionOf(vm: VmRecord, nowMs: number) {
    const { placement } = vm
    return {
      report: reportOf(vm),
      hostHasReported: placement !== undefined && table.hasReported(placement.hostId),
      orderAccepted: memory.isOrderAccepted(vm.spec.id, placement),
      released: memory.proofOfRelease(vm.spec.id, placement?.epoch),
      startsOnHold: options.startsOnHold(),
      failures: memory.failures(vm.spec.id, nowMs),
      startOrderDue: memory.startOrderDue(nowMs),
      epochFloor: options.epochFloor(),
    }
  }

  function reportOf({ spec, placement }: VmRecord) {
    return placement === undefined ? undefined : table.report(placement.hostId, spec.id)
  }

  function noteTurn(vm: VmRecord, decision: VmDecision, nowMs: number): void {
    const isStarting =
      decision.kind === 'place' ||
      decision.kind === 'start' ||
      decision.kind === 'release' ||
      reportOf(vm)?.phase === 'starting'
    if (isStarting) memory.takesTurn(vm.spec.id, vm.spec.startOrder, nowMs)
    else memory.endsTurn(vm.spec.id)
  }

  async function writeStatus(vmId: VmId, waitReason: string | undefined): Promise<void> {
    const state = leader.index.state()
    const vm = state.vms.get(vmId)
    if (vm === undefined) return
    const host = vm.placement === undefined ? undefined : state.hosts.get(vm.placement.hostId)
    const hostHasReported = vm.placement !== undefined && table.hasReported(vm.placement.hostId)
    const derived = deriveStatus(vm, { host, report: reportOf(vm), hostHasReported, waitReason })
    if (derived !== undefined) await writeVmStatus(leader, vm, derived)
  }

  async function carryOut(vm: VmRecord, decision: VmDecision): Promise<void> {
    switch (decision.kind) {
      case 'settled':
      case 'wait':
        return
      case 'place':
        return place(vm, decision)
      case 'accept-guest-shutdown':
        return acceptGuestShutdown(vm)
      case 'start':
        return order(vm, (authority, host) => startOrder(vm, { authority, host, epoch: decision.epoch }))
      case 'stop':
        return order(vm, (authority, host) =>
          agents.stopMachine(host, { vmId: vm.spec.id, authority, epoch: decision.epoch, mode: decision.mode }),
        )
      case 'change':
        return order(vm, (authority, host) =>
          agents.changeMachine(host, { vmId: vm.spec.id, authority, epoch: decision.epoch, change: decision.change }),
        )
      case 'release':
        return order(vm, (authority, host) => release(vm, { authority, host, upToEpoch: decision.upToEpoch }))
    }
  }

  type Ordered = {
    readonly authority: { readonly term: number; readonly session: VmPlacement['session'] }
    readonly host: NonNullable<ReturnType<typeof hostOf>>['spec']
  }

  async function startOrder(
    vm: VmRecord,
    { authority, host, epoch }: Ordered & { readonly epoch: number },
  ): Promise<void> {
    const cluster = leader.index.state()
    const current = cluster.vms.get(vm.spec.id) ?? vm
    await agents.startMachine(host, { authority, epoch, machine: machineOrderOf(cluster, current) })
    memory.orderAccepted(vm.spec.id, { session: authority.session, epoch })
  }

  async function release(
    vm: VmRecord,
    { authority, host, upToEpoch }: Ordered & { readonly upToEpoch: number },
  ): Promise<void> {
    const answer = await agents.releaseMachine(host, { vmId: vm.spec.id, authority, upToEpoch })
    const provedAt = leader.clock.wallTime().toISOString()
    const proof: Proof = { kind: 'released', hostId: host.id, hostName: host.name, provedAt, ...answer }
    memory.released(vm.spec.id, upToEpoch, proof)
  }

  /** Gives an order to the placed host without holding up the others. It is decided anew when the answer is there, whatever it is. */
  function order(vm: VmRecord, give: (authority: Ordered['authority'], host: Ordered['host']) => Promise<void>): void {
    const host = hostOf(leader.index.state().vms.get(vm.spec.id) ?? vm)
    const session = host?.status.session
    if (host === undefined || session === null || session === undefined) return
    busy.add(vm.spec.id)
    const task = async () => {
      try {
        await give({ term: leader.term, session }, host.spec)
      } catch (error) {
        const isExpected = error instanceof DialtoneError
        leader.logger.warn('vm.order-refused', {
          vmId: vm.spec.id,
          host: host.spec.name,
          error: isExpected ? error.message : error,
        })
        waiting.add(vm.spec.id)
      } finally {
        busy.delete(vm.spec.id)
        if (!waiting.has(vm.spec.id)) touched.add(vm.spec.id)
        options.wake()
      }
    }
    void task()
  }

  function hostOf({ placement }: VmRecord) {
    return placement === undefined ? undefined : leader.index.state().hosts.get(placement.hostId)
  }

  async function place(vm: VmRecord, decision: Extract<VmDecision, { kind: 'place' }>): Promise<void> {
    const host = leader.index.state().hosts.get(decision.hostId)
    const session = host?.status.session
    if (host === undefined || session === null || session === undefined) return
    const vmId = vm.spec.id
    const at = leader.clock.wallTime().toISOString()
    const isRecovery = decision.isRecovery && decision.proof !== null && vm.placement !== undefined
    const placement: VmPlacement = {
      hostId: decision.hostId,
      epoch: decision.epoch,
      session,
      bootId: host.status.bootId ?? '',
      term: leader.term,
      placedAt: at,
      reason: decision.reason,
      proof: decision.proof,
      lastRecovery:
        isRecovery && decision.proof !== null && vm.placement !== undefined
          ? { at, fromHostId: vm.placement.hostId, proof: decision.proof }
          : (vm.placement?.lastRecovery ?? null),
    }
    const why =
      decision.proof === null ? decision.reason : `${decision.reason}; proof: ${describeProof(decision.proof)}`
    const event = leader.events.write({
      kind: isRecovery ? 'vm.recovered-on' : 'vm.placed',
      subject: vm.spec.name,
      message: `${host.spec.name}, epoch ${decision.epoch}: ${why}`,
      vmId,
      hostId: decision.hostId,
    })
    const conditions = [
      unchanged(leader, keys.vmPlacement(vmId)),
      unchanged(leader, keys.vm(vmId)),
      unchanged(leader, keys.hostStatus(decision.hostId)),
    ]
    const result = await commitAndSee(leader, { conditions, writes: [put(keys.vmPlacement(vmId), placement), event] })
    touched.add(vmId)
    if (result.kind === 'conflict') await leader.clock.sleep(2)
  }

  async function acceptGuestShutdown(vm: VmRecord): Promise<void> {
    const vmId = vm.spec.id
    const event = leader.events.write({
      kind: 'vm.guest-shutdown',
      subject: vm.spec.name,
      message: 'the guest switched itself off',
      vmId,
    })
    const status = {
      state: 'stopped',
      since: leader.clock.wallTime().toISOString(),
      hostId: vm.placement?.hostId ?? null,
      epoch: vm.placement?.epoch ?? 0,
      incarnation: reportOf(vm)?.incarnation ?? 0,
      pid: null,
      detail: 'the guest switched itself off',
      crashes: 0,
    }
    await commitAndSee(leader, {
      conditions: [unchanged(leader, keys.vm(vmId)), unchanged(leader, keys.vmStatus(vmId))],
      writes: [
        put(keys.vm(vmId), { ...vm.spec, desired: 'stopped', stopMode: 'shutdown' }),
        put(keys.vmStatus(vmId), status),
        event,
      ],
    })
    touched.add(vmId)
  }
}
