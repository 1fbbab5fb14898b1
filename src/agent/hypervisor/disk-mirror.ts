/**
 * A disk that is copied while its machine writes to it: to a file that this host can open, or over a stream to a process that waits for
 * the machine. Until the machine stands still and the mirror is ended, the disk is the machine's and the copy is worth nothing.
 */
import type { Duplex } from 'node:stream'

export type MirrorTarget =
  /** Leads to `diskStream` of the process that waits for the machine. */
  | { readonly kind: 'stream'; readonly stream: Duplex }
  /** An empty disk of the same size, with the same template under it if there is one. */
  | { readonly kind: 'file'; readonly disk: { readonly path: string; readonly format: 'qcow2' | 'raw' } }

export type MirrorRequest = {
  readonly volumeId: string
  readonly target: MirrorTarget
  /** `top-layer`: what lies under the disk's top layer lies under the copy already. */
  readonly scope: 'top-layer' | 'whole'
}

export type MirrorProgress = { readonly copiedBytes: number; readonly totalBytes: number }

export type DiskMirror = {
  /** Resolves when the copy has all of the disk: from then on a write is done when both have it. Rejects when the mirror broke. */
  readonly ready: Promise<void>
  /** Throws when the mirror broke. */
  progress(): Promise<MirrorProgress>
  /** For a machine that stands still. When it resolves the copy has every byte, and the machine still has its disk. */
  finish(): Promise<void>
  /** For a machine that stands still, and a copy in a file: when it resolves the copy is the machine's disk, and the old one is closed. */
  switchOver(): Promise<void>
  /** Ends it, whatever has become of it; the machine keeps the disk that it has. Doing it twice is fine. */
  cancel(): Promise<void>
}
