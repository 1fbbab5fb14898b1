/** What an agent keeps of a machine that leaves it, or comes to it, while it runs. In memory only: an agent that restarts knows of neither. */
import type { Duplex } from 'node:stream'
import type { ArrivalEnd } from '../../model/agent-protocol/migration-orders.ts'
import type { HostId } from '../../model/ids.ts'
import type { MigrationMethod } from '../../model/migration/vm-migration.ts'
import type { IncomingMachine, RunningMachine } from '../hypervisor/hypervisor.ts'
import type { OutgoingMachine, SendProgress } from '../hypervisor/moving-machine.ts'

export type Departure = {
  readonly machine: RunningMachine
  /** `following`: it may run at the other end, and the rest of its memory is on its way there. */
  state: 'prepared' | 'moving' | 'following' | 'sent' | 'failed'
  method: MigrationMethod | null
  detail: string
  progress: SendProgress | undefined
  outgoing: OutgoingMachine | undefined
  stoppedAtMs: number | null
  wasServing: boolean
  isCalledOff: boolean
  /** Resolves when the other end has what it needs to run it. */
  readonly mayRunThere: PromiseWithResolvers<void>
  /** Resolves when nothing of it goes on any more. */
  over: Promise<void>
}

/** Its stream is there under the agent that began it. */
export type WaitingMachine = Omit<IncomingMachine, 'stream'> & { readonly stream?: Duplex }

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
}
