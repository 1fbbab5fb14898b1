/**
 * Runs machines on this host, as a port. Siblings: `qemu/` (the real one) and `fake/` (for the simulator and fast tests); both pass
 * `hypervisor.contract.ts`. A machine outlives the agent that started it: everything needed to find it again is in its run directory.
 */
import type { Duplex } from 'node:stream'
import type { Accelerator, PinnedHardware } from '../../model/hardware.ts'
import type { MachineLife } from '../../model/machine-order.ts'

/** A disk as the hypervisor opens it. Paths are on this host. */
export type AttachedDisk = {
  readonly volumeId: string
  readonly path: string
  readonly format: 'qcow2' | 'raw'
}

export type MachineDefinition = {
  readonly life: MachineLife
  readonly name: string
  readonly hardware: PinnedHardware
  readonly cpus: number
  readonly memoryMiB: number
  readonly macAddress: string
  /** An existing tap device that the machine's card is connected to. */
  readonly tapName: string
  readonly disks: readonly AttachedDisk[]
  readonly kernel: { readonly vmlinux: string; readonly initrd: string; readonly commandLine: string }
  readonly generationId: string
  /** The machine's process runs as this user (and group) id, unprivileged. Its disks are readable and writable for it already. */
  readonly userId: number
  /** Holds QMP and console sockets, log and what is needed for adoption. Exists, empty or left over from an earlier life. */
  readonly runDirectory: string
  /** cgroup v2 directory of this machine alone, existing. Everything that writes to its disks runs in it. */
  readonly cgroupDirectory: string
}

/** Why a machine's process ended. `guest-shutdown`: the guest powered itself off. `killed`: by `kill`. `crashed`: anything else. */
export type MachineExit = { readonly reason: 'guest-shutdown' | 'killed' | 'crashed'; readonly detail: string }

export type MachineState = 'paused' | 'running' | 'io-error' | 'shutdown'

export type MachineEvent =
  | { readonly kind: 'state'; readonly state: MachineState }
  | { readonly kind: 'guest-panicked' }
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
  /** A raw byte stream to the serial console. One at a time: a new one ends the old one. A reader that lags far behind is cut off. */
  openConsole(): Promise<Duplex>
  onEvent(listener: (event: MachineEvent) => void): void
  /** Forgets the machine without touching it: closes sockets and timers of this process. */
  detach(): void
}

export type HypervisorFacts = {
  readonly accelerator: Accelerator
  /** Why that one: what running a guest for a moment showed. */
  readonly acceleratorReason: string
  readonly version: string
  readonly machineType: string
  readonly cpuModel: string
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
}
