/** What the kernel has counted so far of a host and its machines, as a port. `proc-meter.ts` is the real one. */
import type { VmId } from '../../model/ids.ts'

export type MeteredMachine = {
  readonly vmId: VmId
  /** Of its process. */
  readonly pid: number
  readonly cgroupDirectory: string
  readonly tapNames: readonly string[]
}

/** Sums since some beginning of their own, but for the memory, which is what is in use. */
export type Counters = {
  readonly cpuMs: number
  readonly memoryMiB: number
  readonly diskReadKiB: number
  readonly diskWrittenKiB: number
  readonly networkInKiB: number
  readonly networkOutKiB: number
}

export type Measurement = {
  readonly host: Counters
  /** Those whose process is still there. */
  readonly machines: ReadonlyMap<VmId, Counters>
  /** The longest time since the last measurement for which this process did not get to run. */
  readonly stallMs: number
}

/** Asks nothing that waits for a disk or a guest: a storage that hangs must not hang whoever measures it. */
export type HostMeter = { measure(machines: readonly MeteredMachine[]): Promise<Measurement> }
