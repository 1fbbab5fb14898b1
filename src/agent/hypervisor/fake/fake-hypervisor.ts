/** Machines without QEMU, with its semantics: for the simulator (virtual time) and for tests of what is built on the port. */
import { createHash } from 'node:crypto'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { Hypervisor, HypervisorFacts, MachineDefinition, MachineShape } from '../hypervisor.ts'
import { bakeFakeImage, prepareFakeSpare } from './fake-image.ts'
import { attachToFakeMachine, refuseTakenDisk } from './fake-machine.ts'
import { receiveFakeMachine } from './fake-move.ts'
import { drivesOf, type FakeMachine, type FakeWorld, growthOf, passTime } from './fake-world.ts'

export type FakeHypervisorOptions = {
  readonly world: FakeWorld
  /** Refuses a second machine on a disk that one of this world has open; off for tests that want to see two writers. */
  readonly fileLocking?: boolean
  readonly facts?: HypervisorFacts
}

const usualFacts: HypervisorFacts = {
  accelerator: 'tcg',
  acceleratorReason: 'imaginary machines need none',
  version: '7.2.22',
  machineType: 'pc-q35-7.2',
  cpuModel: 'qemu64-v1',
  guestSupport: ['uefi', 'secure-boot', 'tpm'],
  liveCapture: { isPossible: true, reason: 'imaginary memory is easily protected' },
}

export function createFakeHypervisor(options: FakeHypervisorOptions): Hypervisor {
  const { world } = options
  const isLocking = options.fileLocking ?? true
  return {
    facts: async () => options.facts ?? usualFacts,
    start: async (definition) => {
      refuseSecondMachine(world, definition, isLocking)
      const fault = world.startFault(definition)
      if (fault !== undefined) throw fault
      const machine = newMachine(world, definition)
      world.put(machine)
      await passTime(world, world.options.startMs)
      if (machine.exit !== undefined) {
        throw new DialtoneError('hypervisor-failed', `the machine in ${definition.runDirectory} ended at its start`)
      }
      return attachToFakeMachine(world, machine, isLocking)
    },
    adopt: async (runDirectory) => {
      const machine = world.living(runDirectory)
      return machine === undefined ? undefined : attachToFakeMachine(world, machine, isLocking)
    },
    initialVariables: ({ secureBoot }) => `/fake-firmware/variables${secureBoot ? '-signed' : ''}`,
    shapeOf: ({ hardware, cpus, memoryMiB, growth = null, disks, plugged = [], moreCards = [], platform }) => {
      const { machineType, cpuModel, accelerator } = hardware
      const counts = [cpus, memoryMiB, growth, disks.length, plugged.length, moreCards.map(({ number }) => number)]
      const seen = JSON.stringify([machineType, cpuModel, accelerator, ...counts, platform?.guest])
      return createHash('sha256').update(seen).digest('hex').slice(0, 32)
    },
    prepare: async (shape, image) => {
      refuseSecondMachine(world, shape, isLocking)
      return prepareFakeSpare(world, { shape, image, isLocking })
    },
    bake: (shape, streamPath, into) => bakeFakeImage(world, { shape, streamPath, into }),
    receive: async (definition, { plugged }) => {
      // Its disks may be open at the source: the lock is taken when it runs.
      refuseSecondMachine(world, definition, false)
      world.refuse({ kind: 'receive', runDirectory: definition.runDirectory, paths: [] })
      const machine = newMachine(world, { ...definition, plugged })
      for (const { volumeId, path } of plugged) machine.layers.set(volumeId, [path])
      world.put(machine)
      await passTime(world, world.options.startMs)
      return receiveFakeMachine(world, machine, () => attachToFakeMachine(world, machine, isLocking))
    },
  }
}

function newMachine(world: FakeWorld, definition: MachineDefinition): FakeMachine {
  return {
    definition,
    pid: world.nextPid(),
    state: 'paused',
    exit: undefined,
    layers: new Map(definition.disks.map(({ volumeId, path }) => [volumeId, [path]])),
    growth: growthOf(definition),
    memory: '-',
    isDeaf: false,
    isUnkillable: false,
    ignoresPowerButton: false,
    isLinkUp: true,
    discs: drivesOf(definition),
    arrival: 'none',
    console: undefined,
    observers: new Set(),
  }
}

function refuseSecondMachine(world: FakeWorld, { runDirectory, disks }: MachineShape, isLocking: boolean): void {
  const spare = world.spares.get(runDirectory)
  if (world.living(runDirectory) !== undefined || (spare !== undefined && spare.exit === undefined)) {
    throw new DialtoneError('hypervisor-failed', `a machine lives in ${runDirectory} already`)
  }
  if (isLocking) for (const { path } of disks) refuseTakenDisk(world, path)
}
