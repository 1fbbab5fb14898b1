/** One agent's hold on an imaginary machine. */
import { Duplex } from 'node:stream'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { MachineEvent, MachineExit, RunningMachine } from '../hypervisor.ts'
import { addFakeOverlays, captureFakeMachine } from './fake-capture.ts'
import { freePort, growFakeMachine } from './fake-growth.ts'
import { mirrorFakeDisk } from './fake-mirror.ts'
import { sendFakeMachine } from './fake-move.ts'
import {
  changeState,
  endFakeMachine,
  type FakeMachine,
  type FakeOrder,
  type FakeWorld,
  passTime,
} from './fake-world.ts'

/** Throws when it is over, or when it does not answer. */
type Answering = () => void

export function attachToFakeMachine(world: FakeWorld, machine: FakeMachine, isLocking: boolean): RunningMachine {
  const exited = Promise.withResolvers<MachineExit>()
  const listeners = new Set<(event: MachineEvent) => void>()
  const observer = {
    onExit: exited.resolve,
    onEvent: (event: MachineEvent) => {
      for (const listener of listeners) listener(event)
    },
  }
  machine.observers.add(observer)
  const answering: Answering = () => {
    if (machine.exit !== undefined)
      throw new DialtoneError('hypervisor-failed', 'the connection to the machine is over')
    if (machine.isDeaf) throw new DialtoneError('deadline-exceeded', 'the machine did not answer in time')
  }
  return {
    life: machine.definition.life,
    pid: machine.pid,
    exited: exited.promise,
    ...vcpuOrders(world, machine, answering),
    ...diskOrders(world, machine, { answering, isLocking }),
    ...guestOrders(world, machine, answering),
    addOverlays: async (overlays) => {
      answering()
      addFakeOverlays(world, machine, overlays)
    },
    capture: async (request) => {
      answering()
      return captureFakeMachine(world, machine, request)
    },
    kill: async (deadlineMs) => {
      if (machine.exit === undefined && machine.isUnkillable) {
        await passTime(world, deadlineMs)
        throw new DialtoneError('deadline-exceeded', `pid ${machine.pid} is still there ${deadlineMs} ms after SIGKILL`)
      }
      endFakeMachine(machine, { reason: 'killed', detail: 'killed on demand' })
    },
    onEvent: (listener) => {
      listeners.add(listener)
    },
    ...growFakeMachine(world, machine, answering),
    arrivalState: async () => {
      answering()
      return machine.arrival
    },
    send: async (options) => {
      answering()
      world.refuse({ kind: 'send', runDirectory: machine.definition.runDirectory, paths: [] })
      return sendFakeMachine(world, machine, options)
    },
    mirrorDisk: async (request) => {
      answering()
      const { volumeId, target } = request
      const paths = target.kind === 'file' ? [target.disk.path] : []
      world.refuse({ kind: 'mirror', runDirectory: machine.definition.runDirectory, paths })
      if (!machine.layers.has(volumeId)) throw new DialtoneError('not-found', `the machine has no disk ${volumeId}`)
      return mirrorFakeDisk(world, machine, request)
    },
    endMirror: async () => answering(),
    detach: () => {
      machine.observers.delete(observer)
      listeners.clear()
    },
  }
}

/** As QEMU's own lock does; nobody else in this world can have it open. */
export function refuseTakenDisk(world: FakeWorld, path: string): void {
  for (const process of [...world.machines.values(), ...world.spares.values()]) {
    if (process.exit !== undefined) continue
    if ([...process.layers.values()].some(([written]) => written === path))
      throw new DialtoneError('hypervisor-failed', `${path}: Failed to get "write" lock`)
  }
}

function vcpuOrders(
  world: FakeWorld,
  machine: FakeMachine,
  answering: Answering,
): Pick<RunningMachine, 'state' | 'resume' | 'pause' | 'pressPowerButton' | 'reset'> {
  return {
    state: async () => {
      answering()
      return machine.state
    },
    resume: async () => {
      answering()
      world.refuse({ kind: 'resume', runDirectory: machine.definition.runDirectory, paths: [] })
      changeState(machine, 'running')
    },
    pause: async () => {
      answering()
      changeState(machine, 'paused')
      await world.options.drained?.(machine)
    },
    pressPowerButton: async () => {
      answering()
      powerOff(world, machine)
    },
    reset: async () => answering(),
  }
}

/** The guest answers the button in its own time, and only while it runs. */
function powerOff(world: FakeWorld, machine: FakeMachine): void {
  const { powerOffMs } = world.options
  if (powerOffMs === 'never' || machine.ignoresPowerButton || machine.state !== 'running') return
  void passTime(world, powerOffMs).then(() => {
    if (machine.state !== 'running') return
    changeState(machine, 'shutdown')
    endFakeMachine(machine, { reason: 'guest-shutdown', detail: 'the guest powered itself off' })
  })
}

function diskOrders(
  world: FakeWorld,
  machine: FakeMachine,
  { answering, isLocking }: { readonly answering: Answering; readonly isLocking: boolean },
): Pick<RunningMachine, 'diskPaths' | 'attachDisk' | 'detachDisk' | 'mergeLayers' | 'closeLeftLayers' | 'changeDisc'> {
  const { layers } = machine
  const begin = (kind: FakeOrder['kind'], paths: readonly string[]) => {
    answering()
    world.refuse({ kind, runDirectory: machine.definition.runDirectory, paths })
  }
  return {
    diskPaths: async () => {
      answering()
      return new Map(
        [...layers].flatMap(([volumeId, [written]]) => (written === undefined ? [] : [[volumeId, written]])),
      )
    },
    attachDisk: async ({ volumeId, path }) => {
      begin('attach-disk', [path])
      if (layers.has(volumeId)) return
      if (isLocking) refuseTakenDisk(world, path)
      machine.growth.ports.set(volumeId, freePort(machine))
      layers.set(volumeId, [path])
    },
    detachDisk: async (volumeId) => {
      begin('detach-disk', layers.get(volumeId)?.slice(0, 1) ?? [])
      if (!layers.has(volumeId)) return
      if (machine.growth.holdsOn)
        throw new DialtoneError('deadline-exceeded', `the guest did not let go of ${volumeId}`)
      machine.growth.ports.delete(volumeId)
      layers.delete(volumeId)
    },
    changeDisc: async (drive, path) => {
      begin('change-disc', path === null ? [] : [path])
      if (!machine.discs.has(drive)) throw new DialtoneError('hypervisor-failed', `there is no drive ${drive}`)
      machine.discs.set(drive, path)
    },
    closeLeftLayers: async () => answering(),
    mergeLayers: async (volumeId, { topPath, basePath }, { signal, onProgress } = {}) => {
      begin('merge-layers', [topPath, basePath])
      onProgress?.(0.5)
      await passTime(world, world.options.mergeMs)
      if (machine.exit !== undefined) throw new DialtoneError('hypervisor-failed', 'the machine ended in the middle')
      if (signal?.aborted === true) throw new DialtoneError('cancelled', 'the merge of layers was called off')
      const known = layers.get(volumeId) ?? []
      const chain = [...known, ...(world.options.chainUnder?.(known.at(-1) ?? '') ?? [])]
      const [top, base] = [chain.indexOf(topPath), chain.indexOf(basePath)]
      if (top < 0) throw new DialtoneError('not-found', `${topPath} is no layer of a disk that the machine has open`)
      // What lies under the layers of this life is not known here, as a base that was there before it.
      layers.set(volumeId, [...chain.slice(0, top + 1), ...(base < 0 ? [basePath] : chain.slice(base))])
    },
  }
}

function guestOrders(
  world: FakeWorld,
  machine: FakeMachine,
  answering: Answering,
): Pick<RunningMachine, 'setLink' | 'askResident' | 'runInGuest' | 'withGuestFileSystems' | 'openConsole'> {
  const hear = async <T>(ask: () => T | 'silent', timeoutMs: number): Promise<T> => {
    const answer = machine.state === 'running' && machine.exit === undefined ? ask() : 'silent'
    if (answer !== 'silent') return answer
    await passTime(world, timeoutMs)
    throw new DialtoneError('guest-silent', `the guest did not answer within ${timeoutMs} ms`)
  }
  return {
    setLink: async (isUp) => {
      answering()
      machine.isLinkUp = isUp
    },
    askResident: (request, timeoutMs) => hear(() => world.guests.resident(machine, request), timeoutMs),
    withGuestFileSystems: (work) =>
      work((what, timeoutMs) => hear(() => world.guests.fileSystems(machine, what), timeoutMs)),
    runInGuest: (command, timeoutMs) => hear(() => world.guests.run(machine, command), timeoutMs),
    openConsole: async () => {
      answering()
      machine.console?.destroy()
      machine.console = echoingConsole(machine)
      return machine.console
    },
  }
}

/** The guest tells the byte before it when it reads '?', and remembers the others. */
function echoingConsole(machine: FakeMachine): Duplex {
  const stream: Duplex = new Duplex({
    allowHalfOpen: false,
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      for (const letter of machine.state === 'running' ? chunk.toString() : '') {
        if (letter !== '?') machine.memory = letter
        stream.push(machine.memory)
      }
      done()
    },
  })
  stream.on('error', () => undefined)
  return stream
}
