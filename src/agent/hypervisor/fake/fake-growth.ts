/** Imaginary processors, memory and cards that come and go; a guest that holds on to what it has gives nothing back. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { planMemory, roomBeside } from '../../../model/growth.ts'
import type { RunningMachine } from '../hypervisor.ts'
import type { FakeMachine, FakeOrder, FakeWorld } from './fake-world.ts'

/** As QEMU's machines have them here. */
const hotplugPorts = 4
const usualDiskMiB = 1

type GrowthOrders = Pick<
  RunningMachine,
  'plugged' | 'hardware' | 'resizeDisk' | 'attachCard' | 'detachCard' | 'setCpus' | 'setMemory' | 'limitDisks'
>

export function growFakeMachine(world: FakeWorld, machine: FakeMachine, answering: () => void): GrowthOrders {
  const { growth, definition, layers } = machine
  const begin = (kind: FakeOrder['kind']) => {
    answering()
    world.refuse({ kind, runDirectory: definition.runDirectory, paths: [] })
  }
  const maximumCpus = definition.growth?.maximumCpus ?? definition.cpus
  const roomMiB = definition.growth ? roomBeside(definition.memoryMiB, definition.growth) : 0
  return {
    plugged: async () => {
      const disks = pluggedDisks(machine)
      return {
        volumeIds: disks.map(([volumeId]) => volumeId),
        ports: disks.map(([, port]) => port),
        cards: [...growth.cards].flatMap((number) => {
          const port = growth.ports.get(`${number}`)
          return port === undefined ? [] : [{ number, port }]
        }),
        hasMemory: growth.memoryMiB > definition.memoryMiB,
      }
    },
    hardware: async () => {
      answering()
      const disks = [...layers.keys()].map((volumeId) => ({
        volumeId,
        sizeMiB: growth.sizesMiB.get(volumeId) ?? usualDiskMiB,
      }))
      const { cpus, memoryMiB, cards } = growth
      return {
        cpus,
        maximumCpus,
        bootMemoryMiB: definition.memoryMiB,
        roomMiB,
        memoryMiB,
        disks,
        cards: [...cards].sort((left, right) => left - right),
      }
    },
    resizeDisk: async (volumeId, sizeMiB) => {
      begin('resize-disk')
      if (!layers.has(volumeId)) throw new DialtoneError('not-found', `the machine has no disk ${volumeId}`)
      growth.sizesMiB.set(volumeId, Math.max(sizeMiB, growth.sizesMiB.get(volumeId) ?? usualDiskMiB))
    },
    attachCard: async ({ number }) => {
      begin('attach-card')
      if (growth.cards.has(number)) return
      growth.ports.set(`${number}`, freePort(machine))
      growth.cards.add(number)
    },
    detachCard: async (number) => {
      begin('detach-card')
      if (!growth.cards.has(number)) return
      if (growth.holdsOn) throw new DialtoneError('deadline-exceeded', `the guest did not let go of card ${number}`)
      growth.cards.delete(number)
      growth.ports.delete(`${number}`)
    },
    ...sizeOrders(machine, { begin, maximumCpus, roomMiB }),
    limitDisks: async (limits) => {
      answering()
      growth.limits = limits
    },
  }
}

function sizeOrders(
  { growth, definition }: FakeMachine,
  room: { begin(kind: FakeOrder['kind']): void; readonly maximumCpus: number; readonly roomMiB: number },
): Pick<GrowthOrders, 'setCpus' | 'setMemory'> {
  const { begin, maximumCpus, roomMiB } = room
  return {
    setCpus: async (count) => {
      begin('set-cpus')
      if (count > maximumCpus)
        throw new DialtoneError('wrong-state', `it has room for ${maximumCpus} processors, not for ${count}`)
      if (count > growth.cpus || !growth.holdsOn) growth.cpus = count
      return growth.cpus
    },
    setMemory: async (memoryMiB) => {
      begin('set-memory')
      if (!definition.growth) return growth.memoryMiB
      const { pluggedMiB, balloonedMiB } = planMemory(memoryMiB, { bootMiB: definition.memoryMiB, roomMiB })
      const reached = definition.memoryMiB + pluggedMiB - balloonedMiB
      if (reached > growth.memoryMiB || !growth.holdsOn) growth.memoryMiB = reached
      return growth.memoryMiB
    },
  }
}

/** Disks that came while it ran, in the order of their ports. */
function pluggedDisks({ growth, layers, definition }: FakeMachine): [string, number][] {
  const atStart = new Set(definition.disks.map(({ volumeId }) => volumeId))
  return [...layers.keys()]
    .filter((volumeId) => !atStart.has(volumeId))
    .map((volumeId, index): [string, number] => [volumeId, growth.ports.get(volumeId) ?? index])
    .sort(([, left], [, right]) => left - right)
}

export function freePort({ growth }: Pick<FakeMachine, 'growth'>): number {
  const taken = new Set(growth.ports.values())
  const free = Array.from({ length: hotplugPorts }, (_, index) => index).find((index) => !taken.has(index))
  if (free !== undefined) return free
  throw new DialtoneError(
    'wrong-state',
    `all ${hotplugPorts} ports for disks and cards that are plugged in while it runs are taken`,
  )
}
