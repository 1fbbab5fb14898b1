/** Imaginary memory images: the guest's memory, one byte, as a text in the world's files; and the processes that wait on them. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { MachineExit, MachineShape, MemoryImageFiles, SpareMachine } from '../hypervisor.ts'
import { attachToFakeMachine } from './fake-machine.ts'
import {
  drivesOf,
  endFakeMachine,
  type FakeMachine,
  type FakeSpare,
  type FakeWorld,
  growthOf,
  keepFile,
  passTime,
} from './fake-world.ts'

export async function bakeFakeImage(
  world: FakeWorld,
  request: { readonly shape: MachineShape; readonly streamPath: string; readonly into: MemoryImageFiles },
): Promise<void> {
  const { shape, streamPath, into } = request
  await passTime(world, world.options.bakeMs)
  world.refuse({ kind: 'bake', runDirectory: shape.runDirectory, paths: [streamPath] })
  const memory = world.files.get(streamPath)
  if (memory === undefined) throw new DialtoneError('image-corrupt', `${streamPath} is no stream of a machine`)
  await keepFile(world, into.memory, memory)
  await keepFile(world, into.state, 'state')
}

/** Of an image that was copied here by others only the path is known: such a guest has forgotten what was typed. */
export async function prepareFakeSpare(
  world: FakeWorld,
  request: { readonly shape: MachineShape; readonly image: MemoryImageFiles; readonly isLocking: boolean },
): Promise<SpareMachine> {
  const { shape, image, isLocking } = request
  world.refuse({ kind: 'prepare', runDirectory: shape.runDirectory, paths: [image.memory, image.state] })
  const spare: FakeSpare = {
    shape,
    pid: world.nextPid(),
    exit: undefined,
    layers: new Map([...shape.disks, ...(shape.plugged ?? [])].map(({ volumeId, path }) => [volumeId, [path]])),
    growth: growthOf(shape),
    memory: world.files.get(image.memory) ?? '-',
    observers: new Set(),
  }
  world.putSpare(spare)
  await passTime(world, world.options.prepareMs)
  if (spare.exit !== undefined) throw new DialtoneError('hypervisor-failed', `the process ended at its start`)
  return holdSpare(world, spare, isLocking)
}

function holdSpare(world: FakeWorld, spare: FakeSpare, isLocking: boolean): SpareMachine {
  const exited = Promise.withResolvers<MachineExit>()
  const observer = { onExit: exited.resolve, onEvent: () => undefined }
  spare.observers.add(observer)
  return {
    pid: spare.pid,
    exited: exited.promise,
    takeOver: async (life, cgroupDirectory) => {
      const { shape } = spare
      world.refuse({ kind: 'take-over', runDirectory: shape.runDirectory, paths: [] })
      if (spare.exit !== undefined) throw new DialtoneError('hypervisor-failed', 'the waiting process is gone')
      const { pid, layers, growth, memory, observers } = spare
      const definition = { ...shape, life, cgroupDirectory }
      const switches = {
        isDeaf: false,
        isUnkillable: false,
        ignoresPowerButton: false,
        isLinkUp: true,
        discs: drivesOf(spare.shape),
        arrival: 'none',
        console: undefined,
      } as const
      const machine: FakeMachine = {
        ...{ definition, pid, layers, growth, memory, observers },
        ...{ ...switches, state: 'paused', exit: undefined },
      }
      world.removeSpare(spare)
      world.put(machine)
      return attachToFakeMachine(world, machine, isLocking)
    },
    kill: async () => endFakeMachine(spare, { reason: 'killed', detail: 'killed on demand' }),
    detach: () => void spare.observers.delete(observer),
  }
}
