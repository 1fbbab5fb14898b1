/** The decisions that can fall for one VM, and what they are made from beside the stored state. */
import type { HostId } from '../model/ids.ts'
import type { StartKind } from '../model/machine-order.ts'
import type { Proof } from '../model/proof.ts'
import type { MachineReport } from '../model/vm.ts'
import type { LostStorage } from './find-lost-storage.ts'
import type { HostVerdict } from './place-vm.ts'

export type VmDecision =
  | { readonly kind: 'settled' }
  /** `isForItsTurn`: nothing stands against it but time. */
  | {
      readonly kind: 'wait'
      readonly reason: string
      readonly verdicts?: readonly HostVerdict[]
      readonly isForItsTurn?: true
    }
  /** Commit this placement with a new epoch; the order to start follows from it. */
  | {
      readonly kind: 'place'
      readonly hostId: HostId
      readonly epoch: number
      readonly proof: Proof | null
      readonly isRecovery: boolean
      /** From memory where its owner wants that and nothing speaks against it. */
      readonly start: StartKind
      readonly reason: string
    }
  | { readonly kind: 'start'; readonly hostId: HostId; readonly epoch: number }
  | { readonly kind: 'stop'; readonly hostId: HostId; readonly epoch: number; readonly mode: 'shutdown' | 'kill' }
  | { readonly kind: 'change'; readonly hostId: HostId; readonly epoch: number; readonly change: 'pause' | 'resume' }
  /** It runs, and its owner has changed how it recovers or what its service is. */
  | { readonly kind: 'configure'; readonly hostId: HostId; readonly epoch: number }
  /** Ask a host for the proof that it let go: of the present placement, or of a life that nobody knows of. */
  | {
      readonly kind: 'release'
      readonly hostId: HostId
      readonly upToEpoch: number
      readonly reason: string
      /** Only when nothing of it is on its way to a disk. */
      readonly onlyIfStill?: true
    }
  /** It is down, and that is now what its owner wants: its guest switched itself off, or it has no autostart. */
  | { readonly kind: 'accept-stop'; readonly reason: string }

/** A life of the machine that isn't the placed one: on another host, or under another epoch. */
export type StrayLife = { readonly hostId: HostId; readonly epoch: number }

export type VmQuestion = {
  /** From the newest heartbeat of the placed host's present session; undefined when it holds nothing of this VM. */
  readonly report: MachineReport | undefined
  /** False while no heartbeat of the host's present session has been seen by this leader. */
  readonly hostHasReported: boolean
  /** What became of the start order of the present epoch: a spent one was accepted, and the host holds nothing of it any more. */
  readonly startOrder: 'not-given' | 'accepted' | 'spent'
  /** Lives that answering hosts hold beside the placed one. */
  readonly strays: readonly StrayLife[]
  /** Set when it stands still and its host has lost a storage of it that others read. */
  readonly lostStorage?: LostStorage | undefined
  /** The proof that the placed host gave on being asked to let go of the present epoch. */
  readonly released: Proof | undefined
  /** Set when automatic starts are on hold (a new leader waits; the store went back in time). */
  readonly startsOnHold: string | undefined
  /** Failed starts in a row, and how long ago the last was. */
  readonly failures: { readonly count: number; readonly lastAgoMs: number }
  /** The start order that is due: machines of a higher order wait. */
  readonly startOrderDue: number
  /** No epoch below this may be given out, whatever the store says (it may be older than what hosts have seen). */
  readonly epochFloor: number
}
