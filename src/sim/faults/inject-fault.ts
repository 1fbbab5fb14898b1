/** Does a fault to a world, and gives what ends it again. Nothing here looks at the product: only at what is around and below it. */

import type { FakeMachine } from '../../agent/hypervisor/fake/fake-world.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { controllerPlace } from '../controller/controller-process.ts'
import type { FenceBehaviour } from '../controller/fence-devices.ts'
import type { HostBoot } from '../host/host-boot.ts'
import type { SimulatedHost } from '../host/simulated-host.ts'
import { calmNetwork, type Place } from '../net/simulated-network.ts'
import type { StorageWay } from '../storage/simulated-storage.ts'
import type { ProcessLife } from '../time/process-life.ts'
import type { WorldParts } from '../world/world-parts.ts'
import type { Fault } from './fault.ts'

/** Doing it twice is fine. */
export type EndOfFault = () => void

const atOnce: EndOfFault = () => undefined

export function injectFault(world: WorldParts, fault: Fault): EndOfFault {
  switch (fault.kind) {
    case 'power-off':
    case 'host-resets':
    case 'host-stands-still':
    case 'agent-crashes':
    case 'agent-stands-still':
    case 'watchdog-crashes':
    case 'watchdog-stands-still':
    case 'starts-fail':
    case 'orders-fail':
    case 'wall-clock-jumps':
      return breakHost(world.host(fault.host), fault)
    case 'controller-crashes':
    case 'controller-stands-still':
    case 'controller-is-gone':
    case 'state-goes-back':
      return breakController(world, fault)
    case 'way-is-cut':
      return cutWay(world, { from: fault.from, to: fault.to, isOneWay: fault.isOneWay })
    case 'host-is-cut-off':
      return cutOff(world, fault)
    case 'network-is-gone':
      return endAll([...world.hosts.keys()].map((host) => cutOff(world, { host, withStorage: fault.withStorage })))
    case 'network-is-bad':
      return makeNetworkBad(world, fault)
    case 'storage-hangs':
      return setWay(world, fault, { kind: 'hangs' })
    case 'storage-refuses':
      return setWay(world, fault, { kind: 'refuses' })
    case 'storage-is-slow':
      return setWay(world, fault, { kind: 'slow', delayMs: fault.delayMs })
    case 'storage-is-full':
      return setWay(world, fault, { kind: 'full' })
    case 'slot-is-torn':
      world.storage(fault.storage).contents.tearSlot(world.host(fault.host).spec.number)
      return atOnce
    case 'fence-lies':
      return misbehave(world, fault.host, 'lies')
    case 'fence-hangs':
      return misbehave(world, fault.host, 'hangs')
    case 'fence-fails':
      return misbehave(world, fault.host, 'fails')
    case 'qemu-dies':
    case 'qemu-stands-still':
    case 'guest-panics':
    case 'guest-hangs':
    case 'guest-ignores-shutdown':
      return breakMachine(world, fault)
  }
}

type HostFault = Extract<
  Fault,
  {
    readonly host: string
    readonly kind: `${'power' | 'host' | 'agent' | 'watchdog' | 'starts' | 'orders' | 'wall'}-${string}`
  }
>

function breakHost(host: SimulatedHost, fault: Exclude<HostFault, { kind: 'host-is-cut-off' }>): EndOfFault {
  switch (fault.kind) {
    case 'power-off':
      host.powerOff('it lost power')
      return () => host.powerOn()
    case 'host-resets':
      host.reset('it was reset')
      return atOnce
    case 'host-stands-still':
      return failIn(host, (boot) => {
        boot.standStill()
        return () => boot.goOn()
      })
    case 'agent-crashes':
      host.boot()?.killAgent()
      return atOnce
    case 'agent-stands-still':
      return pauseLife(host.boot()?.agent()?.life)
    case 'watchdog-crashes':
      host.boot()?.killWatchdog()
      return atOnce
    case 'watchdog-stands-still':
      return pauseLife(host.boot()?.watchdog()?.life)
    case 'starts-fail':
      return failIn(host, ({ kernel }) => {
        kernel.processes.failStarts(() => new DialtoneError('hypervisor-failed', 'QEMU ended at its start'))
        return () => kernel.processes.failStarts(() => undefined)
      })
    case 'orders-fail':
      return failIn(host, ({ kernel }) => {
        kernel.processes.failOrders(({ kind }) =>
          kind === fault.order ? new DialtoneError('hypervisor-failed', `QEMU refused: ${kind}`) : undefined,
        )
        return () => kernel.processes.failOrders(() => undefined)
      })
    case 'wall-clock-jumps':
      host.setWallOffset(fault.byMs)
      return () => host.setWallOffset(0)
  }
}

function pauseLife(life: ProcessLife | undefined): EndOfFault {
  life?.stop()
  return () => life?.goOn()
}

function failIn(host: SimulatedHost, begin: (boot: HostBoot) => EndOfFault): EndOfFault {
  const boot = host.boot()
  return boot === undefined ? atOnce : begin(boot)
}

function breakController(
  { controller }: WorldParts,
  fault: Extract<
    Fault,
    { kind: 'controller-crashes' | 'controller-stands-still' | 'controller-is-gone' | 'state-goes-back' }
  >,
): EndOfFault {
  switch (fault.kind) {
    case 'controller-crashes':
      controller.kill()
      return atOnce
    case 'controller-stands-still':
      return pauseLife(controller.process()?.life)
    case 'controller-is-gone':
      controller.takeAway()
      return () => controller.start()
    case 'state-goes-back':
      void controller.goBack(fault.byMs)
      return atOnce
  }
}

function cutWay(
  { network }: WorldParts,
  { from, to, isOneWay }: { readonly from: Place; readonly to: Place; readonly isOneWay: boolean },
): EndOfFault {
  return endAll(isOneWay ? [network.cut(from, to)] : [network.cut(from, to), network.cut(to, from)])
}

function cutOff(
  world: WorldParts,
  { host, withStorage }: { readonly host: string; readonly withStorage: boolean },
): EndOfFault {
  const others = [...world.hosts.keys(), controllerPlace].filter((place) => place !== host)
  const ways = others.map((to) => cutWay(world, { from: host, to, isOneWay: false }))
  const storages = withStorage
    ? world.sharedStorages().map(({ spec }) => setWay(world, { storage: spec.name, host }, { kind: 'hangs' }))
    : []
  return endAll([...ways, ...storages])
}

function makeNetworkBad(
  { network }: WorldParts,
  { lost, doubled, slow, slowestMs }: Extract<Fault, { kind: 'network-is-bad' }>,
): EndOfFault {
  return network.become({ ...calmNetwork, lost, doubled, slow, slowDelayMs: [20, slowestMs] })
}

function setWay(
  world: WorldParts,
  { storage, host }: { readonly storage: string; readonly host?: string | undefined },
  way: StorageWay,
): EndOfFault {
  const known = world.storage(storage)
  known.setWay(host, way)
  return () => known.setWay(host, { kind: 'open' })
}

function misbehave({ fences }: WorldParts, host: string, behaviour: FenceBehaviour): EndOfFault {
  fences.setBehaviour(host, behaviour)
  return () => fences.setBehaviour(host, 'works')
}

type MachineFault = Extract<Fault, { readonly vm: string }>

/** Of the process whose vCPUs run, or any that there is. */
function breakMachine(world: WorldParts, fault: MachineFault): EndOfFault {
  const found = world.machinesOf(fault.vm)
  const [first] = found.toSorted((left, right) => rank(left.machine) - rank(right.machine))
  if (first === undefined) return atOnce
  const { machine, boot } = first
  const { runDirectory } = machine.definition
  switch (fault.kind) {
    case 'qemu-dies':
      if (machine.isUnkillable) boot.guests.dieWhenPossible(machine)
      else boot.kernel.processes.crash(runDirectory, 'it crashed')
      return atOnce
    case 'qemu-stands-still':
      boot.guests.standStill(machine)
      return () => boot.guests.goOn(machine)
    case 'guest-panics':
      boot.kernel.processes.panic(runDirectory)
      return atOnce
    case 'guest-hangs':
      boot.kernel.processes.hang(runDirectory)
      return atOnce
    case 'guest-ignores-shutdown':
      machine.ignoresPowerButton = true
      return () => {
        machine.ignoresPowerButton = false
      }
  }
}

function rank({ state }: FakeMachine): number {
  return state === 'running' ? 0 : 1
}

function endAll(ends: readonly EndOfFault[]): EndOfFault {
  return () => {
    for (const end of ends) end()
  }
}
