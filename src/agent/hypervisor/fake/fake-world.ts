/**
 * The machines of one imaginary host. It outlives the agent: a new `createFakeHypervisor` over the same world adopts what runs there.
 * Tests and the simulator break things here, by run directory, and look at what runs.
 */
import type { Duplex } from 'node:stream'
import type { DialtoneError } from '../../../model/dialtone-error.ts'
import { type Limits, noLimits } from '../../../model/growth.ts'
import { cdromDrives } from '../../../model/iso.ts'
import type {
  MachineDefinition,
  MachineEvent,
  MachineExit,
  MachineShape,
  MachineState,
  RunningMachine,
} from '../hypervisor.ts'
import type { ResidentAnswer, ResidentRequest } from '../resident-protocol.ts'

/** What is the same for a machine and for a process that waits to become one. */
type FakeProcess = {
  readonly pid: number
  /** Set when it is over. */
  exit: MachineExit | undefined
  /** The files under each disk, by volume: the one that is written, and those that it is known to lie on. */
  readonly layers: Map<string, readonly string[]>
  /** What it has of processors, memory and cards. */
  readonly growth: FakeGrowth
  /** What the guest remembers: the last byte that was typed. */
  memory: string
  readonly observers: Set<FakeObserver>
}

export type FakeGrowth = {
  cpus: number
  memoryMiB: number
  /** Of its disks, in MiB, as far as they were grown here. */
  readonly sizesMiB: Map<string, number>
  /** Ports of what was plugged in while it ran: disks by volume, cards by number. */
  readonly ports: Map<string, number>
  /** Numbers of its cards after the first one. */
  readonly cards: Set<number>
  /** Its guest gives nothing back. */
  holdsOn: boolean
  limits: Pick<Limits, 'diskIops' | 'diskMiBPerSecond'>
}

export type FakeSpare = FakeProcess & { readonly shape: MachineShape }

export type FakeMachine = FakeProcess & {
  readonly definition: MachineDefinition
  state: MachineState
  /** Commands get no answer (as when its storage hangs); a kill works all the same. */
  isDeaf: boolean
  /** Survives SIGKILL, as a process in uninterruptible I/O does. */
  isUnkillable: boolean
  /** Its guest doesn't listen to the power button. */
  ignoresPowerButton: boolean
  isLinkUp: boolean
  /** What is in its drives; a machine without drives has none. */
  readonly discs: Map<number, string | null>
  arrival: Awaited<ReturnType<RunningMachine['arrivalState']>>
  console: Duplex | undefined
}

export type FakeObserver = { onEvent(event: MachineEvent): void; onExit(exit: MachineExit): void }

/** As it begins, or goes on from an image of that shape. */
export function growthOf({ cpus, memoryMiB, moreCards = [], plugged = [] }: MachineShape): FakeGrowth {
  const cards = moreCards.flatMap(({ number, port }): [string, number][] =>
    port === undefined ? [] : [[`${number}`, port]],
  )
  const disks = plugged.map(({ volumeId, port }, index): [string, number] => [volumeId, port ?? index])
  return {
    cpus,
    memoryMiB,
    sizesMiB: new Map(),
    ports: new Map([...disks, ...cards]),
    cards: new Set(moreCards.map(({ number }) => number)),
    holdsOn: false,
    limits: noLimits,
  }
}

/** A machine that boots by firmware has its drives, with and without discs. */
export function drivesOf({ platform }: Pick<MachineShape, 'platform'>): Map<number, string | null> {
  const drives = platform === undefined ? 0 : cdromDrives
  return new Map(Array.from({ length: drives }, (_, drive) => [drive, platform?.discs[drive] ?? null]))
}

/** What is about to be done. `paths`: the image of a spare, the stream of an image, the overlays or disks of the others. */
export type FakeOrder = {
  readonly kind:
    | 'prepare'
    | 'take-over'
    | 'resume'
    | 'bake'
    | 'capture'
    | 'add-overlays'
    | 'write-stream'
    | 'attach-disk'
    | 'detach-disk'
    | 'merge-layers'
    | 'resize-disk'
    | 'attach-card'
    | 'detach-card'
    | 'set-cpus'
    | 'set-memory'
    | 'change-disc'
    | 'send'
    | 'mirror'
    | 'switch-disk'
    | 'receive'
  readonly runDirectory: string
  readonly paths: readonly string[]
}

/** What the programs in the guests do. A guest that is `silent`, or stands still, lets its caller wait until the time is up. */
export type FakeGuests = {
  resident(machine: FakeMachine, request: ResidentRequest): ResidentAnswer | 'silent'
  /** How many it froze or thawed. */
  fileSystems(machine: FakeMachine, what: 'freeze' | 'thaw'): number | 'silent'
  run(machine: FakeMachine, command: readonly string[]): Awaited<ReturnType<RunningMachine['runInGuest']>> | 'silent'
}

export type FakeWorldOptions = {
  /** How time passes: of the simulator's clock, or not at all (the default). */
  readonly wait?: (ms: number) => Promise<void>
  /** Wall clock, for captures; stands still without it. */
  readonly wallTime?: () => Date
  readonly startMs?: number
  readonly prepareMs?: number
  readonly captureMs?: number
  /** From the beginning of a move until the machine stands still for it. */
  readonly sendMs?: number
  /** Guests change their memory as fast as it is sent. */
  readonly isOutrunning?: boolean
  /** From when a machine may run at the other end of its move until the rest of its memory is there. */
  readonly followMs?: number
  /** From the beginning of a mirror until its copy has all of the disk. */
  readonly mirrorMs?: number
  readonly bakeMs?: number
  readonly mergeMs?: number
  /** From the power button to the end of the guest; `never` for guests that don't listen to it. */
  readonly powerOffMs?: number | 'never'
  /**
   * What a machine that is paused waits for, or that lets go of its disks: that nothing of it is in flight any more. Throws
   * `deadline-exceeded` when that takes too long. Nothing is ever in flight without it.
   */
  readonly drained?: (machine: FakeMachine) => Promise<void>
  /** What a file lies on, from the upper one down; nothing is known of it without this. */
  readonly chainUnder?: (path: string) => readonly string[]
  /** Puts the streams and images, which are short texts, where others read them. They are in memory only without it. */
  readonly writeFile?: (path: string, text: string) => Promise<void>
}

export type FakeWorld = {
  readonly options: FakeWorldOptions
  /** By run directory, with the dead ones until the next start there. */
  readonly machines: ReadonlyMap<string, FakeMachine>
  readonly spares: ReadonlyMap<string, FakeSpare>
  /** What was captured and baked, by path: the memory of a guest; and what is on a disk. */
  readonly files: Map<string, string>
  guests: FakeGuests
  put(machine: FakeMachine): void
  putSpare(spare: FakeSpare): void
  /** It has become a machine. */
  removeSpare(spare: FakeSpare): void
  nextPid(): number
  /** The living machine of a run directory. */
  living(runDirectory: string): FakeMachine | undefined
  /** Ends a machine, or a process that waits to become one, from outside. */
  crash(runDirectory: string, detail: string): void
  /** Panics the guest: told as an event, and the machine stands still. */
  panic(runDirectory: string): void
  /** The guest no longer pets its watchdog: told as an event, and the machine stands still. */
  hang(runDirectory: string): void
  /** As if QEMU itself changed state: `io-error` when the storage fails. */
  setState(runDirectory: string, state: MachineState): void
  /** The guest resets itself. */
  resetGuest(runDirectory: string): void
  /** Every later start is asked for a fault first; what it returns is thrown. */
  failStarts(fault: (definition: MachineDefinition) => DialtoneError | undefined): void
  startFault(definition: MachineDefinition): DialtoneError | undefined
  /** The same for every other order that can fail. */
  failOrders(fault: (order: FakeOrder) => DialtoneError | undefined): void
  /** Throws what the order is to fail with. */
  refuse(order: FakeOrder): void
}

const helpfulGuests: FakeGuests = {
  resident: (_machine, request) => (request.do === 'hello' ? { version: '1' } : {}),
  fileSystems: () => 1,
  run: () => ({ exitCode: 0, output: '' }),
}

export function createFakeWorld(options: FakeWorldOptions = {}): FakeWorld {
  const machines = new Map<string, FakeMachine>()
  const spares = new Map<string, FakeSpare>()
  let lastPid = 100_000
  let startFault: (definition: MachineDefinition) => DialtoneError | undefined = () => undefined
  let orderFault: (order: FakeOrder) => DialtoneError | undefined = () => undefined
  const living = (runDirectory: string): FakeMachine | undefined => {
    const machine = machines.get(runDirectory)
    return machine?.exit === undefined ? machine : undefined
  }
  const withLiving = (runDirectory: string, change: (machine: FakeMachine) => void): void => {
    const machine = living(runDirectory)
    if (machine !== undefined) change(machine)
  }
  const standStill = (runDirectory: string, event: MachineEvent): void =>
    withLiving(runDirectory, (machine) => {
      tellObservers(machine, event)
      changeState(machine, 'paused')
    })

  return {
    options,
    machines,
    spares,
    files: new Map(),
    guests: helpfulGuests,
    living,
    put: (machine) => void machines.set(machine.definition.runDirectory, machine),
    putSpare: (spare) => void spares.set(spare.shape.runDirectory, spare),
    removeSpare: (spare) => void spares.delete(spare.shape.runDirectory),
    nextPid: () => ++lastPid,
    crash: (runDirectory, detail) => {
      const process = living(runDirectory) ?? spares.get(runDirectory)
      if (process !== undefined) endFakeMachine(process, { reason: 'crashed', detail })
    },
    panic: (runDirectory) => standStill(runDirectory, { kind: 'guest-panicked' }),
    hang: (runDirectory) => standStill(runDirectory, { kind: 'guest-hung' }),
    setState: (runDirectory, state) => withLiving(runDirectory, (machine) => changeState(machine, state)),
    resetGuest: (runDirectory) =>
      withLiving(runDirectory, (machine) => tellObservers(machine, { kind: 'guest-reset' })),
    failStarts: (fault) => {
      startFault = fault
    },
    startFault: (definition) => startFault(definition),
    failOrders: (fault) => {
      orderFault = fault
    },
    refuse: (order) => {
      const fault = orderFault(order)
      if (fault !== undefined) throw fault
    },
  }
}

/** Once only: the first reason stands. */
export function endFakeMachine(machine: FakeProcess & { console?: Duplex | undefined }, exit: MachineExit): void {
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

/** Lets the world's time pass; none, where time does not pass. */
export async function passTime(world: FakeWorld, ms: number | undefined): Promise<void> {
  if (ms !== undefined) await world.options.wait?.(ms)
}

/** A file of the imaginary host, and of the real one if somebody else is to read it. */
export async function keepFile(world: FakeWorld, path: string, text: string): Promise<void> {
  world.files.set(path, text)
  await world.options.writeFile?.(path, text)
}

function tellObservers(machine: FakeMachine, event: MachineEvent): void {
  for (const observer of [...machine.observers]) observer.onEvent(event)
}
