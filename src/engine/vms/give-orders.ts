/** Gives orders about VMs to agents without holding up the others, and remembers what became of them. */

import type { VmDecision } from '../../control/vm-decision.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import { configurationOf } from '../../model/vm.ts'
import type { AgentPort } from '../agent-port.ts'
import type { HostTable } from '../hosts/host-table.ts'
import type { Leader } from '../leader.ts'
import { type OrderTarget, orderTarget } from '../order-target.ts'
import { machineOrderOf } from './machine-order-of.ts'
import type { StartMemory } from './start-memory.ts'

export type OrderDecision = Extract<
  VmDecision,
  { readonly kind: 'start' | 'stop' | 'change' | 'configure' | 'release' }
>

export type OrderGiver = {
  /** True while an order about this VM is under way. */
  isBusy(vmId: VmId): boolean
  give(vm: VmRecord, decision: OrderDecision): void
}

export type OrderGiverOptions = {
  readonly leader: Leader
  readonly table: HostTable
  readonly agents: AgentPort
  readonly memory: StartMemory
  /** False while a host has yet to hear what this machine may send and be sent. */
  knowsFirewall(hostId: HostId, vmId: VmId): boolean
  /** An order was answered, well or not: the VM is to be decided anew, at once or when time has passed. */
  answered(vmId: VmId, when: 'now' | 'later'): void
}

export function createOrderGiver(options: OrderGiverOptions): OrderGiver {
  const busy = new Set<VmId>()
  return {
    isBusy: (vmId) => busy.has(vmId),
    give(vm, decision) {
      const { leader, memory } = options
      const vmId = vm.spec.id
      const target = orderTarget(leader, decision.hostId)
      if (target === undefined) return options.answered(vmId, 'later')
      if (decision.kind === 'start' && !options.knowsFirewall(decision.hostId, vmId))
        return options.answered(vmId, 'later')
      // Another wish is another order.
      const wish = decision.kind === 'configure' ? configurationOf(vm.spec) : ''
      const signature = `${JSON.stringify(decision)} ${target.authority.session} ${wish}`
      if (memory.wasJustGiven(vmId, signature, leader.clock.bootTimeMs())) return options.answered(vmId, 'later')
      busy.add(vmId)
      void carry(options, { vm, decision, target }).then((when) => {
        busy.delete(vmId)
        options.answered(vmId, when)
      })
    },
  }
}

type Order = { readonly vm: VmRecord; readonly decision: OrderDecision; readonly target: OrderTarget }

async function carry(options: OrderGiverOptions, order: Order): Promise<'now' | 'later'> {
  try {
    await send(options, order)
    return 'now'
  } catch (error) {
    const { vm, decision, target } = order
    const vmId = vm.spec.id
    const why = error instanceof DialtoneError ? error.message : error
    options.leader.logger.warn('vm.order-refused', { vmId, order: decision.kind, host: target.host.name, error: why })
    // The epoch is void there and nothing of it lives: a newer one is given at once, since no report would ever tell of this one.
    if (decision.kind === 'start' && error instanceof DialtoneError && error.code === 'stale-epoch')
      options.memory.orderAnswered(vmId, {
        session: target.authority.session,
        epoch: decision.epoch,
        atSequence: Number.NEGATIVE_INFINITY,
      })
    return 'later'
  }
}

async function send(options: OrderGiverOptions, order: Order): Promise<void> {
  const { agents, leader, memory } = options
  const { vm, decision, target } = order
  const { host, authority } = target
  const vmId = vm.spec.id
  switch (decision.kind) {
    case 'start': {
      const current = leader.index.state().vms.get(vmId) ?? vm
      await agents.startMachine(host, { authority, epoch: decision.epoch, machine: machineOrderOf(current) })
      return noteAnswered(options, order)
    }
    case 'stop':
      return agents.stopMachine(host, { vmId, authority, epoch: decision.epoch, mode: decision.mode })
    case 'change':
      return agents.changeMachine(host, { vmId, authority, epoch: decision.epoch, change: decision.change })
    case 'configure': {
      const machine = machineOrderOf(leader.index.state().vms.get(vmId) ?? vm)
      return agents.configureMachine(host, { vmId, authority, epoch: decision.epoch, machine })
    }
    case 'release': {
      const answer = await agents.releaseMachine(host, {
        vmId,
        authority,
        upToEpoch: decision.upToEpoch,
        onlyIfStill: decision.onlyIfStill === true,
      })
      const provedAt = leader.clock.wallTime().toISOString()
      const isPlacedLife = vm.placement?.hostId === host.id && vm.placement.epoch === decision.upToEpoch
      if (isPlacedLife)
        memory.released(vmId, decision.upToEpoch, {
          kind: 'released',
          hostId: host.id,
          hostName: host.name,
          provedAt,
          ...answer,
        })
    }
  }
}

function noteAnswered({ memory, table }: OrderGiverOptions, { vm, decision, target }: Order): void {
  if (decision.kind !== 'start') return
  const atSequence = table.heartbeat(target.host.id)?.sequence ?? 0
  memory.orderAnswered(vm.spec.id, { session: target.authority.session, epoch: decision.epoch, atSequence })
}
