/** What is seen of a simulated world from outside, in the order in which it happens. Checkers are functions over this and nothing else. */
import type { VmId, VolumeId } from '../model/ids.ts'
import type { ChangeSet } from '../store/store.ts'

/** One process of one machine on one host: the only thing that ever writes to a disk. */
export type GuestProcess = {
  /** Host, boot and pid: never the same twice. */
  readonly process: string
  readonly hostName: string
  readonly vmId: VmId
  readonly epoch: number
  readonly incarnation: number
}

export type Observation =
  /** Its vCPUs begin to run, at its start or after they stood still. */
  | ({
      readonly kind: 'guest-runs'
      readonly volumeIds: readonly VolumeId[]
      readonly memoryMiB: number
    } & GuestProcess)
  | ({ readonly kind: 'guest-stands' } & GuestProcess)
  | ({ readonly kind: 'process-ended' } & GuestProcess)
  /** What it had sent is on the disk now, perhaps long after it was sent. */
  | ({ readonly kind: 'write-landed'; readonly volumeId: VolumeId; readonly stamp: number } & GuestProcess)
  /** The guest has told somebody that this is safe. */
  | ({ readonly kind: 'write-acknowledged'; readonly volumeId: VolumeId; readonly stamp: number } & GuestProcess)
  /** A guest that boots, or is resumed from an image, finds this newest stamp on its disk. */
  | ({ readonly kind: 'disk-read'; readonly volumeId: VolumeId; readonly stamp: number } & GuestProcess)
  | { readonly kind: 'host-on'; readonly hostName: string; readonly memoryMiB: number }
  | { readonly kind: 'host-off'; readonly hostName: string; readonly reason: string }
  /** What was stored lately is not any more: an older copy has taken its place. */
  | { readonly kind: 'state-went-back' }
  | { readonly kind: 'committed'; readonly changeSet: ChangeSet }

/** When it was seen. */
export type Seen = Observation & { readonly atMs: number }

/** Looks at each observation in turn; what it answers is what must never be. */
export type Checker = (seen: Seen) => string | undefined
