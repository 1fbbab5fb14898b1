/** The decisions that can fall for one VM, and what they are made from beside the stored state. */
import type { HostId, StorageId, VolumeId } from '../model/ids.ts'
import type { StartKind } from '../model/machine-order.ts'
import type { Proof } from '../model/proof.ts'
import type { DesiredPower, MachineReport } from '../model/vm.ts'
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
      /** Copies that were made there for it, and are nothing's disks. */
      readonly leaves?: readonly DiskPlace[]
    }
  /**
   * The store went back to before its disks moved there, or lost the machine altogether: what the host says of it is true. It is written down as
   * the placement. Where the life that had them goes on, nothing is ordered; where none is left, the epoch is a new one, and it starts there.
   */
  | {
      readonly kind: 'adopt'
      readonly hostId: HostId
      readonly epoch: number
      readonly leased: boolean
      readonly disks: readonly DiskPlace[]
      /** What its owner wants from now on; left out: what its record says. */
      readonly desired?: DesiredPower
      readonly reason: string
    }
  /** It was entered anew, and runs nowhere: from now on it is a VM like any other. */
  | { readonly kind: 'settle-rebuilt'; readonly reason: string }
  /** It is down, and that is now what its owner wants: its guest switched itself off, or it has no autostart. */
  | { readonly kind: 'accept-stop'; readonly reason: string }

/** A life of the machine that isn't the placed one: on another host, or under another epoch. */
export type StrayLife = {
  readonly hostId: HostId
  readonly epoch: number
  /** Its own disks, where they are not where the store says. */
  readonly elsewhere?: StrayDisks | undefined
}

/** Disks that only this host has, as the machine had them there under this epoch. Whether any life of it is left says nothing here. */
export type ClaimedDisks = {
  readonly hostId: HostId
  readonly epoch: number
  readonly disks: readonly DiskPlace[]
}

export type DiskPlace = { readonly volumeId: VolumeId; readonly storageId: StorageId }

export type StrayDisks = {
  readonly disks: readonly DiskPlace[]
  readonly leased: boolean
  /** False of copies that were to be filled: it never ran there. */
  readonly areItsOwn: boolean
}

export type RebuiltLife = { readonly hostId: HostId; readonly hostName: string; readonly report: MachineReport }

/** What hosts have told of a VM since it was entered anew. */
export type RebuiltFacts = {
  readonly lives: readonly RebuiltLife[]
  /** Names of hosts that may run it, and have not told yet. */
  readonly unheard: readonly string[]
}

export type VmQuestion = {
  /** From the newest heartbeat of the placed host's present session; undefined when it holds nothing of this VM. */
  readonly report: MachineReport | undefined
  /** False while no heartbeat of the host's present session has been seen by this leader. */
  readonly hostHasReported: boolean
  /** What became of the start order of the present epoch: a spent one was accepted, and the host holds nothing of it any more. */
  readonly startOrder: 'not-given' | 'accepted' | 'spent'
  /** Lives that answering hosts hold beside the placed one. */
  readonly strays: readonly StrayLife[]
  /** Set for a VM that was entered anew, until it is known where it is. */
  readonly rebuilt?: RebuiltFacts | undefined
  /** Where it had its own disks, as far as hosts were asked: only after the store went back. */
  readonly claims: readonly ClaimedDisks[]
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
