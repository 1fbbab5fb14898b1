/**
 * The machines of one imaginary host. It outlives the agent: a new `createFakeHypervisor` over the same world adopts what runs there.
 * Tests and the simulator break things here, by run directory, and look at what runs.
 */
import type { Duplex } from 'node:stream'
import type { DialtoneError } from '../../../model/dialtone-error.ts'
import type { MachineDefinition, MachineEvent, MachineExit, MachineState } from '../hypervisor.ts'

export type FakeMachine = {
  readonly definition: MachineDefinition
  readonly pid: number
  state: MachineState
  /** Set when it is over. */
  exit: MachineExit | undefined
  /** Commands get no answer (as when its storage hangs); a kill works all the same. */
  isDeaf: boolean
  /** Survives SIGKILL, as a process in uninterruptible I/O does. */
  isUnkillable: boolean
  console: Duplex | undefined
  readonly observers: Set<FakeObserver>
}

export type FakeObserver = { onEvent(event: MachineEvent): void; onExit(exit: MachineExit): void }

export type FakeWorldOptions = {
  /** How time passes: of the simulator's clock, or not at all (the default). */
  readonly wait?: (ms: number) => Promise<void>
  readonly startMs?: number
  /** From the power button to the end of the guest; `never` for guests that don't listen to it. */
  readonly powerOffMs?: number | 'never'
}

export type FakeWorld = {
  readonly options: FakeWorldOptions
  /** By run directory, with the dead ones until the next start there. */
  readonly machines: ReadonlyMap<string, FakeMachine>
  put(machine: FakeMachine): void
  nextPid(): number
  /** The living machine of a run directory. */
  living(runDirectory: string): FakeMachine | undefined
  /** Ends a machine from outside. */
  crash(runDirectory: string, detail: string): void
  /** Panics the guest: told as an event, and the machine stands still. */
  panic(runDirectory: string): void
  /** As if QEMU itself changed state: `io-error` when the storage fails. */
  setState(runDirectory: string, state: MachineState): void
  /** The guest resets itself. */
  resetGuest(runDirectory: string): void
  /** Every later start is asked for a fault first; what it returns is thrown. */
  failStarts(fault: (definition: MachineDefinition) => DialtoneError | undefined): void
  startFault(definition: MachineDefinition): DialtoneError | undefined
}

export function createFakeWorld(options: FakeWorldOptions = {}): FakeWorld {
  const machines = new Map<string, FakeMachine>()
  let lastPid = 100_000
  let fault: (definition: MachineDefinition) => DialtoneError | undefined = () => undefined
  const living = (runDirectory: string): FakeMachine | undefined => {
    const machine = machines.get(runDirectory)
    return machine?.exit === undefined ? machine : undefined
  }
  const withLiving = (runDirectory: string, change: (machine: FakeMachine) => void): void => {
    const machine = living(runDirectory)
    if (machine !== undefined) change(machine)
  }

  return {
    options,
    machines,
    living,
    put: (machine) => {
      machines.set(machine.definition.runDirectory, machine)
    },
    nextPid: () => ++lastPid,
    crash: (runDirectory, detail) =>
      withLiving(runDirectory, (machine) => endFakeMachine(machine, { reason: 'crashed', detail })),
    panic: (runDirectory) =>
      withLiving(runDirectory, (machine) => {
        tellObservers(machine, { kind: 'guest-panicked' })
        changeState(machine, 'paused')
      }),
    setState: (runDirectory, state) => withLiving(runDirectory, (machine) => changeState(machine, state)),
    resetGuest: (runDirectory) =>
      withLiving(runDirectory, (machine) => tellObservers(machine, { kind: 'guest-reset' })),
    failStarts: (nextFault) => {
      fault = nextFault
    },
    startFault: (definition) => fault(definition),
  }
}

/** Once only: the first reason stands. */
export function endFakeMachine(machine: FakeMachine, exit: MachineExit): void {
  if (machine.exit !== undefined) return
  machine.exit = exit
  machine.console?.destroy()
  for (const observer of [...machine.observers]) observer.onExit(exit)
  machine.observers.clear()
}

export function changeState(machine: FakeMachine, state: MachineState): void {
  if (machine.state === state) return
  machine.state = state
  tellObservers(machine, { kind: 'state', state })
}

function tellObservers(machine: FakeMachine, event: MachineEvent): void {
  for (const observer of [...machine.observers]) observer.onEvent(event)
}
