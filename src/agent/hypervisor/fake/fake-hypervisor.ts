/** Machines without QEMU, with its semantics: for the simulator (virtual time) and for tests of what is built on the port. */
import { Duplex } from 'node:stream'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { Hypervisor, HypervisorFacts, MachineDefinition, MachineEvent, RunningMachine } from '../hypervisor.ts'
import { changeState, endFakeMachine, type FakeMachine, type FakeWorld } from './fake-world.ts'

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
}

export function createFakeHypervisor(options: FakeHypervisorOptions): Hypervisor {
  const { world } = options
  return {
    facts: async () => options.facts ?? usualFacts,
    start: async (definition) => {
      const { runDirectory } = definition
      refuseSecondMachine(world, definition, options.fileLocking ?? true)
      const machine: FakeMachine = {
        definition,
        pid: world.nextPid(),
        state: 'paused',
        exit: undefined,
        isDeaf: false,
        isUnkillable: false,
        console: undefined,
        observers: new Set(),
      }
      const fault = world.startFault(definition)
      if (fault !== undefined) throw fault
      world.put(machine)
      await passTime(world, world.options.startMs)
      if (machine.exit !== undefined) {
        throw new DialtoneError('hypervisor-failed', `the machine in ${runDirectory} ended at its start`)
      }
      return attach(world, machine)
    },
    adopt: async (runDirectory) => {
      const machine = world.living(runDirectory)
      return machine === undefined ? undefined : attach(world, machine)
    },
  }
}

function refuseSecondMachine(world: FakeWorld, definition: MachineDefinition, fileLocking: boolean): void {
  const { runDirectory } = definition
  if (world.living(runDirectory) !== undefined) {
    throw new DialtoneError('hypervisor-failed', `a machine lives in ${runDirectory} already`)
  }
  if (!fileLocking) return
  const paths = new Set(definition.disks.map((disk) => disk.path))
  for (const other of world.machines.values()) {
    const disk = other.exit === undefined && other.definition.disks.find(({ path }) => paths.has(path))
    if (disk) throw new DialtoneError('hypervisor-failed', `${disk.path}: Failed to get "write" lock`)
  }
}

/** One agent's hold on the machine. */
function attach(world: FakeWorld, machine: FakeMachine): RunningMachine {
  const exited = Promise.withResolvers<NonNullable<FakeMachine['exit']>>()
  const listeners = new Set<(event: MachineEvent) => void>()
  const observer = {
    onExit: exited.resolve,
    onEvent: (event: MachineEvent) => {
      for (const listener of listeners) listener(event)
    },
  }
  machine.observers.add(observer)
  const answering = (): void => {
    if (machine.exit !== undefined)
      throw new DialtoneError('hypervisor-failed', 'the connection to the machine is over')
    if (machine.isDeaf) throw new DialtoneError('deadline-exceeded', 'the machine did not answer in time')
  }

  return {
    life: machine.definition.life,
    pid: machine.pid,
    exited: exited.promise,
    state: async () => {
      answering()
      return machine.state
    },
    resume: async () => {
      answering()
      changeState(machine, 'running')
    },
    pause: async () => {
      answering()
      changeState(machine, 'paused')
    },
    pressPowerButton: async () => {
      answering()
      powerOff(world, machine)
    },
    reset: async () => answering(),
    kill: async (deadlineMs) => {
      if (machine.isUnkillable) {
        await passTime(world, deadlineMs)
        throw new DialtoneError('deadline-exceeded', `pid ${machine.pid} is still there ${deadlineMs} ms after SIGKILL`)
      }
      endFakeMachine(machine, { reason: 'killed', detail: 'killed on demand' })
    },
    openConsole: async () => {
      answering()
      machine.console?.destroy()
      machine.console = echoingConsole(machine)
      return machine.console
    },
    onEvent: (listener) => {
      listeners.add(listener)
    },
    detach: () => {
      machine.observers.delete(observer)
      listeners.clear()
    },
  }
}

/** The guest answers the button in its own time, and only while it runs. */
function powerOff(world: FakeWorld, machine: FakeMachine): void {
  const { powerOffMs } = world.options
  if (powerOffMs === 'never' || machine.state !== 'running') return
  void passTime(world, powerOffMs).then(() => {
    if (machine.state !== 'running') return
    changeState(machine, 'shutdown')
    endFakeMachine(machine, { reason: 'guest-shutdown', detail: 'the guest powered itself off' })
  })
}

async function passTime(world: FakeWorld, ms: number | undefined): Promise<void> {
  if (ms !== undefined) await world.options.wait?.(ms)
}

function echoingConsole(machine: FakeMachine): Duplex {
  const stream: Duplex = new Duplex({
    allowHalfOpen: false,
    read: () => undefined,
    write: (chunk, _encoding, done) => {
      if (machine.state === 'running') stream.push(chunk)
      done()
    },
  })
  stream.on('error', () => undefined)
  return stream
}
