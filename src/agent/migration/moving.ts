/** What an agent keeps of a machine that leaves it, or comes to it, while it runs. In memory only: an agent that restarts knows of neither. */
import type { ArrivalEnd, CopiedDisk } from '../../model/agent-protocol/migration-orders.ts'
import type { HostId, VolumeId } from '../../model/ids.ts'
import type { MigrationMethod } from '../../model/migration/vm-migration.ts'
import type { MirrorProgress } from '../hypervisor/disk-mirror.ts'
import type { IncomingMachine, RunningMachine } from '../hypervisor/hypervisor.ts'
import type { OutgoingMachine, SendProgress } from '../hypervisor/moving-machine.ts'

/** Of the disks that go with a machine. */
export type DiskMirrors = {
  /** Resolves when every copy has all of its disk. Rejects when one broke, nothing moves any more, or they were called off. */
  readonly ready: Promise<void>
  /** Rejects as soon as one is broken. Never resolves. */
  readonly broken: Promise<never>
  /** Null when no disk goes with it. */
  progress(): MirrorProgress | null
  /** The machine stands still: resolves when every copy has every byte. */
  finish(): Promise<void>
  cancel(): Promise<void>
}

export type Departure = {
  readonly machine: RunningMachine
  /** `following`: it may run at the other end, and the rest of its memory is on its way there. */
  state: 'prepared' | 'moving' | 'following' | 'sent' | 'failed'
  method: MigrationMethod | null
  detail: string
  progress: SendProgress | undefined
  outgoing: OutgoingMachine | undefined
  /** The disks that go with it. */
  mirrors: DiskMirrors | undefined
  stoppedAtMs: number | null
  wasServing: boolean
  isCalledOff: boolean
  /** It has failed, and is being undone. */
  isEnding: boolean
  /** Resolves when the other end has what it needs to run it. */
  readonly mayRunThere: PromiseWithResolvers<void>
  /** Resolves when nothing of it goes on any more. */
  over: Promise<void>
}

/** Its streams are there under the agent that began it. */
export type WaitingMachine = Omit<IncomingMachine, 'stream' | 'diskStream'> &
  Partial<Pick<IncomingMachine, 'stream' | 'diskStream'>>

export type Arrival = {
  readonly epoch: number
  /** Who may connect; null: it came under an earlier agent. */
  readonly sourceHostId: HostId | null
  /** Resolves when a process waits. */
  readonly ready: Promise<WaitingMachine>
  /** The source has connected: there is one stream, and nobody else gets it. */
  isStreamTaken: boolean
  /** Null until it was let run. */
  end: Omit<ArrivalEnd, 'answeredAtMs'> | null
  /** Disks that are filled from the source. */
  readonly copied: readonly CopiedDisk[]
  /** Those of them that nobody has connected to yet. */
  readonly awaitedDisks: Set<VolumeId>
}
