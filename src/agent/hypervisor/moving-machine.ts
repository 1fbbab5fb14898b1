/**
 * A machine on its way to another process of the same shape while it runs: two ends of one two-way byte stream. Nothing here decides who
 * owns its disks: the source stands still until it is told to go on, and the destination runs only when it is resumed.
 */
import type { Duplex } from 'node:stream'

export type SendOptions = {
  /** How long it may stand still, as far as that can be foreseen: it is stopped when what is left takes no longer. */
  readonly pauseLimitMs: number
  /** False: it stands still before its first page is sent. */
  readonly isLive: boolean
  /** The other end can take the rest of its memory while it runs there. */
  readonly canPostCopy: boolean
}

export type SendProgress = {
  readonly transferredBytes: number
  readonly remainingBytes: number
  readonly totalBytes: number
  readonly dirtyBytesPerSecond: number
  /** How often its whole memory was gone through. */
  readonly passes: number
}

export type OutgoingMachine = {
  /** Leads to the other end. A failure of it fails the move; until `finish` the machine then runs on as if nothing had been. */
  readonly stream: Duplex
  /** Resolves when it stands still with little left to send, and waits for `finish`. Rejects when the move has failed before. */
  readonly stopped: Promise<void>
  /** Since when its vCPUs stand still, by the wall clock; undefined while they run. */
  stoppedAtMs(): number | undefined
  progress(): Promise<SendProgress>
  /** From now on it may stand still for so long. */
  allowPause(limitMs: number): Promise<void>
  /** Lets it stand still now, so that what is left only shrinks. */
  stop(): Promise<void>
  /** Lets it stand still now, and what is left follow after `finish`, at this speed. There is no way back from there. */
  postCopy(bytesPerSecond: number): Promise<void>
  /**
   * Sends what is left, or after `postCopy` all but memory. When it resolves, the machine stands still here and has let go of its disks, and
   * the other end has all of it, or is about to have what it needs to run.
   */
  finish(): Promise<void>
  /** Resolves when the other end has all of its memory: after `finish`, at once unless it is to follow. */
  followed(): Promise<void>
  /** Calls it off, whatever has become of it. The machine is not let run by this: `resume` does. */
  cancel(): Promise<void>
}
