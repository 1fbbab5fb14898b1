/**
 * Runs machines on this host, as a port. Siblings: `qemu/` (the real one) and `fake/` (for the simulator and fast tests); both pass
 * `hypervisor.contract.ts`. A machine outlives the agent that started it: everything needed to find it again is in its run directory.
 */
import type { Duplex } from 'node:stream'
import type { Growth, Limits } from '../../model/growth.ts'
import type { Guest, GuestSupport } from '../../model/guest.ts'
import type { Accelerator, PinnedHardware } from '../../model/hardware.ts'
import type { MachineLife } from '../../model/machine-order.ts'
import type { DiskMirror, MirrorRequest } from './disk-mirror.ts'
import type { MachinePlatform } from './machine-platform.ts'
import type { OutgoingMachine, SendOptions } from './moving-machine.ts'
import type { ResidentAnswer, ResidentRequest } from './resident-protocol.ts'

/** A disk as the hypervisor opens it. Paths are on this host. */
export type AttachedDisk = {
  readonly volumeId: string
  readonly path: string
  readonly format: 'qcow2' | 'raw'
  /** The port that it is plugged into; the first free one when left out. */
  readonly port?: number
}

export type AttachedCard = {
  /** From 1 to 7. */
  readonly number: number
  readonly macAddress: string
  readonly mtu: number | null
  /** An existing tap device of its own, which the machine's user may open. */
  readonly tapName: string
  /** The port that it is plugged into; nothing for one of its start. */
  readonly port?: number
}

/** A machine without a life: what a spare process is made of, and an image is baked with. */
export type MachineShape = {
  readonly vmId: string
  readonly name: string
  readonly hardware: PinnedHardware
  readonly cpus: number
  readonly memoryMiB: number
  readonly macAddress: string
  /** What its first card tells the guest of the largest frame; null or nothing: the usual one. */
  readonly mtu?: number | null
  /** An existing tap device that the machine's card is connected to. */
  readonly tapName: string
  /** How far it can grow while it runs; null or nothing: not at all. */
  readonly growth?: Growth | null
  /** Cards after the first one. Those with a port it had got while it ran: only for what goes on from a stream of that time. */
  readonly moreCards?: readonly AttachedCard[]
  readonly disks: readonly AttachedDisk[]
  /** Disks that it had got while it ran, in the order of its ports: only for what goes on from a memory image of that time. */
  readonly plugged?: readonly AttachedDisk[]
  /** What it is started with; undefined for one that boots by its firmware. */
  readonly kernel?: { readonly vmlinux: string; readonly initrd: string; readonly commandLine: string } | undefined
  /** How it boots without a kernel from outside. */
  readonly platform?: MachinePlatform | undefined
  readonly generationId: string
  /** The machine's process runs as this user (and group) id, unprivileged. Its disks are readable and writable for it already. */
  readonly userId: number
  /** Holds QMP and console sockets, log and what is needed for adoption. Exists, empty or left over from an earlier life. */
  readonly runDirectory: string
  /** cgroup v2 directory of this process alone, existing. Everything that writes to its disks runs in it. */
  readonly cgroupDirectory: string
}

export type MachineDefinition = MachineShape & { readonly life: MachineLife }

/** The two files of a memory image on this host. Mapped copy-on-write, never written to, never truncated. */
export type MemoryImageFiles = { readonly memory: string; readonly state: string }

export type CaptureRequest = {
  /** For each disk the empty overlay, already made on the layer that is written now, that takes all writes from the instant on. */
  readonly overlays: readonly { readonly volumeId: string; readonly path: string }[]
  /** The stream of memory and devices goes into this new file. */
  readonly streamPath: string
  /** It stands still only for this: it runs when `capture` returns, and the time before counts as its pause. */
  readonly isHeld?: boolean
}

export type MergeOptions = {
  /** At the most so many bytes a second are copied; without bound when left out. */
  readonly bytesPerSecond?: number
  /** Ends it; the disk is whole then, with as many layers as before, and `cancelled` is thrown. */
  readonly signal?: AbortSignal
  /** 0 to 1. */
  onProgress?(fraction: number): void
}

export type Capture = {
  /** How long the vCPUs stood still. */
  readonly pauseMs: number
  /** Wall clock of the instant. */
  readonly capturedAt: Date
  /** False when the machine stood still until all of its memory was written: it was paused before. */
  readonly isLive: boolean
  /** Resolves when the stream is whole in its file; rejects when it broke off. The machine runs on in both cases. */
  readonly written: Promise<void>
}

export type PrepareOptions = {
  /**
   * Lets the guest run for so long before it waits, unheard: its disks are its own and its tap must lead nowhere, or this is refused
   * (`network-failed`). It then has at hand what it needs to answer, which under TCG is most of the time to its first answer. To the guest
   * it is a moment between the instant of the image and the rest of its life: its own clocks stand still while it waits.
   */
  readonly warmUpMs?: number
  /** Asked of the resident agent as soon as it runs; the warm-up ends with its answer, or when the time is up. */
  readonly warmUpRequest?: ResidentRequest
}

/**
 * A process of a machine's shape that waits, with the image's memory mapped. No vCPU of it runs before `resume`, but for a warm-up that was
 * asked for.
 */
export type SpareMachine = {
  readonly pid: number
  /** Resolves when the process is gone. Never rejects. */
  readonly exited: Promise<MachineExit>
  /**
   * Turns it into the machine itself, paused, under this life: from now on it is found by `adopt`. To be called at most once.
   * `cgroupDirectory`: where it has to be from now on; it is moved there first, which takes the kernel some milliseconds.
   */
  takeOver(life: MachineLife, cgroupDirectory: string): Promise<RunningMachine>
  /** SIGKILL; returns when it is reaped. */
  kill(deadlineMs: number): Promise<void>
  /** Forgets it without touching it. */
  detach(): void
}

/** Why a machine's process ended. `guest-shutdown`: the guest powered itself off. `killed`: by `kill`. `crashed`: anything else. */
export type MachineExit = { readonly reason: 'guest-shutdown' | 'killed' | 'crashed'; readonly detail: string }

/**
 * Has the guest's agent bring its file systems in order and hold their writes (`freeze`), or let them go on (`thaw`); what its owner put into
 * the agent's own hook is done, too. The number of file systems. Throws `guest-silent` when no answer comes in time.
 */
export type AskFileSystems = (what: 'freeze' | 'thaw', timeoutMs: number) => Promise<number>

export type MachineState = 'paused' | 'running' | 'io-error' | 'shutdown'

export type MachineEvent =
  | { readonly kind: 'state'; readonly state: MachineState }
  | { readonly kind: 'guest-panicked' }
  /** The guest's watchdog device was not petted in time. The machine stands still. */
  | { readonly kind: 'guest-hung' }
  /** Firmware may reset once more by itself: one reboot of the guest can be told twice. */
  | { readonly kind: 'guest-reset' }

/** One living machine. Each method has a deadline inside and throws DialtoneError `hypervisor-failed` or `deadline-exceeded`. */
export type RunningMachine = {
  readonly life: MachineLife
  readonly pid: number
  /** Resolves exactly once, when the process is gone, within milliseconds of its death: also for adopted machines. Never rejects. */
  readonly exited: Promise<MachineExit>
  state(): Promise<MachineState>
  /** Lets the vCPUs run: after a paused start, and after `pause`. Doing it twice is fine. */
  resume(): Promise<void>
  /** When it returns, no vCPU runs and no write of the machine is in flight any more. */
  pause(): Promise<void>
  /** Presses the ACPI power button; returns at once. */
  pressPowerButton(): Promise<void>
  /** As the reset button does. A paused machine stays paused. */
  reset(): Promise<void>
  /** SIGKILL to everything of the machine's cgroup. Returns when it is reaped and the cgroup is empty; throws `deadline-exceeded` if not in time. */
  kill(deadlineMs: number): Promise<void>
  /**
   * Takes memory, devices and all disks of one instant while the machine runs on: from the instant on the disks' writes go to the overlays.
   * Returns when the vCPUs run again. On failure the machine runs on, on the overlays or on what it had before: `diskPaths` tells which.
   */
  capture(request: CaptureRequest): Promise<Capture>
  /**
   * Lets the writes of these disks go to empty overlays, already made on the layers that are written now, from one instant on that is the
   * same for all of them; it runs on or stands still as before. On failure all go on as they were, or all go to the overlays: see `diskPaths`.
   */
  addOverlays(overlays: CaptureRequest['overlays']): Promise<void>
  /** Does work in which the guest's agent is asked about its file systems; the result is that of the work. */
  withGuestFileSystems<Result>(work: (ask: AskFileSystems) => Promise<Result>): Promise<Result>
  /** The file that each disk is written to now, by volume. */
  diskPaths(): Promise<ReadonlyMap<string, string>>
  /** Plugs a disk in while the machine runs; returns when the guest has it or may have it any moment. Doing it twice is fine. */
  attachDisk(disk: AttachedDisk): Promise<void>
  /** Pulls it out; returns when the guest has let go. A missing one is fine. */
  detachDisk(volumeId: string): Promise<void>
  /**
   * Puts a disc into a drive in place of what is in it; null takes it out. Throws `in-use` when the guest has locked the drive, unless it is
   * forced. The same disc again is fine.
   */
  changeDisc(drive: number, path: string | null, isForced: boolean): Promise<void>
  /** Pulls out or plugs in the network cable. */
  setLink(isUp: boolean): Promise<void>
  /**
   * Merges, while the machine runs, every layer of this disk that lies above `basePath` and below `topPath` into `topPath`: afterwards
   * `topPath` lies directly on `basePath`, with the same content as before. `topPath` may be what is written; `basePath` is below it. Fails
   * while another process, such as a spare, has `topPath` open. Repeating it is fine, also after an agent or the machine has died in it.
   */
  mergeLayers(
    volumeId: string,
    layers: { readonly topPath: string; readonly basePath: string },
    options?: MergeOptions,
  ): Promise<void>
  /** Closes the files of layers that this disk no longer lies on: what a merge that nobody saw the end of has left open. */
  closeLeftLayers(volumeId: string): Promise<void>
  /**
   * Begins to copy a disk while the machine writes to it. A mirror to a file goes on when the agent ends: asked for again, it is followed.
   * On failure the machine keeps its disk, and runs on.
   */
  mirrorDisk(request: MirrorRequest): Promise<DiskMirror>
  /** Ends a mirror to a file, also one that an earlier agent began; none is fine. The machine keeps its disk. */
  endMirror(request: MirrorRequest): Promise<void>
  /** Asks the agent that is resident in the guest. Throws `guest-silent` when none answers in time. */
  askResident(request: ResidentRequest, timeoutMs: number): Promise<ResidentAnswer>
  /** Runs a program in the guest through its guest agent. Throws `guest-silent` when none answers in time. */
  runInGuest(
    command: readonly string[],
    timeoutMs: number,
  ): Promise<{ readonly exitCode: number; readonly output: string }>
  /** A raw byte stream to the serial console. One at a time: a new one ends the old one. A reader that lags far behind is cut off. */
  openConsole(): Promise<Duplex>
  onEvent(listener: (event: MachineEvent) => void): void
  /** What it got while it ran: disks in the order of their ports, cards, and whether memory. */
  plugged(): Promise<PluggedHardware>
  /** What it has at the moment. */
  hardware(): Promise<MachineHardware>
  /** Gives it this disk's new size, larger than before, which its guest hears of. One that is as large is left as it is. */
  resizeDisk(volumeId: string, sizeMiB: number): Promise<void>
  /** Plugs a card into the first free port. Doing it again is fine. Throws `wrong-state` when none is free. */
  attachCard(card: AttachedCard): Promise<void>
  /** Takes a card out that was plugged in; a missing one is fine. Throws `deadline-exceeded` when the guest keeps it. */
  detachCard(number: number): Promise<void>
  /**
   * Gives it so many processors, at the most as many as it may have, and has its guest use them. Resolves with how many it has: more than
   * asked for when its guest did not let go of them in time.
   */
  setCpus(count: number, timeoutMs: number): Promise<number>
  /** The same with memory, as far as its guest takes it and gives it back: resolves with what that is when it is so, or when time is up. */
  setMemory(memoryMiB: number, timeoutMs: number): Promise<number>
  /** What its disks may do together, from now on; null: as much as they can. */
  limitDisks(limits: Pick<Limits, 'diskIops' | 'diskMiBPerSecond'>): Promise<void>
  /**
   * How it came here from another process, as an agent that did not see it can tell: not at all, or it is not all here yet, or all is here.
   * `torn`: it may run, but the rest of its memory was to follow, and nobody is there any more who brings it.
   */
  arrivalState(): Promise<'none' | 'awaited' | 'whole' | 'torn'>
  /** Begins to send it to another process while it runs. On failure it runs on. */
  send(options: SendOptions): Promise<OutgoingMachine>
  /** Forgets the machine without touching it: closes sockets and timers of this process. */
  detach(): void
}

export type PluggedHardware = {
  readonly volumeIds: readonly string[]
  /** The ports of those. */
  readonly ports: readonly number[]
  readonly cards: readonly { readonly number: number; readonly port: number }[]
  /** Some that it did not have at its start, at this moment. */
  readonly hasMemory: boolean
}

export type MachineHardware = {
  readonly cpus: number
  readonly maximumCpus: number
  /** What it began with. */
  readonly bootMemoryMiB: number
  /** How much can be plugged in beside that. */
  readonly roomMiB: number
  /** What its guest has. */
  readonly memoryMiB: number
  readonly disks: readonly { readonly volumeId: string; readonly sizeMiB: number }[]
  /** Numbers of its cards after the first one. */
  readonly cards: readonly number[]
}

export type ReceivedDisks = { readonly plugged: readonly AttachedDisk[]; readonly copied: readonly string[] }

/** The other end of `send`: a process that waits for a machine. */
export type IncomingMachine = {
  /** Stands still; `resume` is for the time when all has come and its disks belong to it. */
  readonly machine: RunningMachine
  readonly stream: Duplex
  /** Leads to one of its disks that are copied here: for a mirror at the machine's source. */
  diskStream(volumeId: string): Promise<Duplex>
  /** Whether it can run before all of its memory is here. */
  readonly canPostCopy: boolean
  /**
   * Resolves when it has what it needs to run: from then on no disk is written from its source. Rejects when the stream broke off, and the
   * process ends then.
   */
  readonly loaded: Promise<void>
  /** Resolves when all of its memory is here. Rejects when the rest of it will never come: what runs here stands still sooner or later. */
  readonly whole: Promise<void>
  /** Resolves when its vCPUs run here, with the wall clock. */
  readonly resumedAtMs: Promise<number>
}

export type HypervisorFacts = {
  readonly accelerator: Accelerator
  /** Why that one: what running a guest for a moment showed. */
  readonly acceleratorReason: string
  readonly version: string
  readonly machineType: string
  readonly cpuModel: string
  /**
   * Whether a machine's memory can be protected while it is written; otherwise why not. It is then copied while the machine runs, and
   * `capture` takes as long as that; the pause stays short unless the guest changes its memory faster than it can be written.
   */
  /** What some guests need, and is here. */
  readonly guestSupport: readonly GuestSupport[]
  readonly liveCapture: { readonly isPossible: boolean; readonly reason: string }
}

export type Hypervisor = {
  /** What machines can be pinned to here. The accelerator is chosen by running a guest for a moment; the result is cached. */
  facts(): Promise<HypervisorFacts>
  /** Starts the machine paused (no guest instruction runs) and returns when it answers. On failure nothing of it is left running. */
  start(definition: MachineDefinition): Promise<RunningMachine>
  /**
   * Connects to a machine that an earlier agent started in this run directory, also when it does not answer at the moment. Undefined when
   * none lives there: what a dead one, or a start that broke off, left in the cgroup has been killed and reaped by then.
   */
  adopt(runDirectory: string, cgroupDirectory: string): Promise<RunningMachine | undefined>
  /** Digest of the virtual devices of such a machine: an image fits only a machine of the same one. Names, paths and addresses don't count. */
  shapeOf(
    shape: Pick<
      MachineShape,
      'hardware' | 'cpus' | 'memoryMiB' | 'growth' | 'disks' | 'plugged' | 'moreCards' | 'platform'
    >,
  ): string
  /** The file that a new machine's UEFI variables are a copy of. */
  initialVariables(guest: Guest): string
  /**
   * Starts a process that waits, with the image mapped and everything done that can be done beforehand. Nothing is left of it on failure.
   * Throws `image-corrupt` when the image cannot be loaded.
   */
  prepare(shape: MachineShape, image: MemoryImageFiles, options?: PrepareOptions): Promise<SpareMachine>
  /**
   * Turns a captured stream into an image that can be mapped: `into` are new files, sparse where memory is empty. The shape's disks are
   * throw-away overlays on the layers of that instant. Returns when both files are whole and durable; leaves nothing on failure.
   */
  bake(shape: MachineShape, streamPath: string, into: MemoryImageFiles): Promise<void>
  /**
   * Starts a process that waits for a machine of this shape to be sent to it. Its disks may be open elsewhere until it is resumed.
   * `plugged`: disks that the machine got while it ran, in the order of its ports. `copied`: disks that are this process's own, and are filled
   * from the machine's source before its memory is. On failure nothing of it is left running.
   */
  receive(definition: MachineDefinition, disks: ReceivedDisks): Promise<IncomingMachine>
}
