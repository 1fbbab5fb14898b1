/** The agents' side of a move, as fake hosts keep it: what is being sent, what waits, and what stands still until somebody owns it. */
import type { DepartureReport } from '../model/agent-protocol/migration-orders.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { HostSpec } from '../model/host.ts'
import type { VmId } from '../model/ids.ts'
import type { OrderAuthority } from '../model/machine-order.ts'
import type { MachinePhase } from '../model/vm.ts'
import type { AgentPort } from './agent-port.ts'
import type { FakeDisks } from './fake-disks.fixture.ts'
import { type FakeHost, isWriting, type Machine, makeMachine } from './fake-host.fixture.ts'

export type MoveFakes = {
  readonly hosts: ReadonlyMap<string, FakeHost>
  readonly disks: FakeDisks
  reach<T>(
    to: { readonly spec: HostSpec; readonly call: keyof AgentPort; readonly authority: OrderAuthority },
    effect: (host: FakeHost) => T,
  ): Promise<T>
  held(host: FakeHost, vmId: VmId, epoch: number): Machine
  become(host: FakeHost, vmId: VmId, phase: MachinePhase): void
}

type MoveOrders =
  | 'prepareDeparture'
  | 'depart'
  | 'followDeparture'
  | 'abandonDeparture'
  | 'expectArrival'
  | 'completeArrival'

/** How often its progress is asked for until it is through. */
const looksUntilSent = 3

export function fakeMoves({ hosts, disks, reach, held, become }: MoveFakes): Pick<AgentPort, MoveOrders> {
  const report = (machine: Machine): DepartureReport => ({
    state: machine.move.state,
    method: 'precopy',
    transferredBytes: 2 ** 20,
    remainingBytes: 0,
    totalBytes: 2 ** 20,
    dirtyBytesPerSecond: 0,
    disks: null,
    stoppedAtMs: machine.move.state === 'sent' ? 0 : null,
    detail: machine.move.state === 'failed' ? 'the stream broke off' : '',
  })
  /** It has all gone over if the other end is there to take it. */
  const step = (host: FakeHost, vmId: VmId, machine: Machine) => {
    if (machine.move.state !== 'moving' || (machine.move.looks += 1) < looksUntilSent) return
    const target = hosts.get(machine.move.targetId ?? '')
    const arrival = target?.isOff === false && !target.isCut ? target.machines.get(vmId) : undefined
    if (arrival?.isArriving !== true || !isWriting(machine)) {
      machine.move.state = 'failed'
      return
    }
    for (const volumeId of machine.move.copied) {
      const [from, to] = [machine, arrival].map(({ order }) => order.disks.find((disk) => disk.volumeId === volumeId))
      if (from !== undefined && to !== undefined) disks.copy(volumeId, from.storageId, to.storageId)
    }
    arrival.isWhole = true
    machine.move.state = 'sent'
    machine.isHandedOver = true
    become(host, vmId, 'frozen')
  }
  return {
    prepareDeparture: (spec, { vmId, authority, epoch }) =>
      reach({ spec, call: 'prepareDeparture', authority }, (host) => {
        const machine = held(host, vmId, epoch)
        if (machine.phase !== 'running') throw new DialtoneError('wrong-state', `it is ${machine.phase}`)
        if (machine.move.state === 'none' || machine.move.state === 'failed') machine.move.state = 'prepared'
        return { plugged: [], startedBy: 'boot' }
      }),
    depart: (spec, { vmId, authority, epoch, target, copied }) =>
      reach({ spec, call: 'depart', authority }, (host) => {
        const machine = held(host, vmId, epoch)
        if (machine.move.state === 'none') throw new DialtoneError('wrong-state', 'its departure was not prepared here')
        if (machine.move.state === 'prepared')
          machine.move = {
            state: 'moving',
            looks: 0,
            targetId: target.hostId,
            copied: copied.map(({ volumeId }) => volumeId),
          }
        return report(machine)
      }),
    followDeparture: (spec, { vmId, authority, epoch }) =>
      reach({ spec, call: 'followDeparture', authority }, (host) => {
        const machine = held(host, vmId, epoch)
        step(host, vmId, machine)
        return report(machine)
      }),
    abandonDeparture: (spec, { vmId, authority, epoch, isAloneHere }) =>
      reach({ spec, call: 'abandonDeparture', authority }, (host) => {
        const machine = held(host, vmId, epoch)
        if (machine.isHandedOver && !isAloneHere) return
        machine.move = { state: 'none', looks: 0, targetId: undefined, copied: [] }
        machine.isHandedOver = false
        if (machine.phase === 'frozen') become(host, vmId, 'running')
      }),
    expectArrival: (spec, { authority, epoch, machine }) =>
      reach({ spec, call: 'expectArrival', authority }, (host) => {
        if (epoch <= (host.released.get(machine.vmId) ?? 0))
          throw new DialtoneError('stale-epoch', `${machine.name} was released here`)
        if (host.machines.get(machine.vmId)?.epoch === epoch) return
        host.machines.set(machine.vmId, { ...makeMachine(machine, epoch, 'starting'), isArriving: true })
      }),
    completeArrival: (spec, { vmId, authority, epoch }) =>
      reach({ spec, call: 'completeArrival', authority }, (host) => {
        const machine = held(host, vmId, epoch)
        if (machine.phase === 'running') return { resumedAtMs: 1 }
        if (!machine.isWhole) throw new DialtoneError('wrong-state', 'it did not arrive here')
        machine.isArriving = false
        become(host, vmId, 'running')
        return { resumedAtMs: 1 }
      }),
  }
}
