/** The hardware's own record of what happened to each host and when: JSON lines, the ground truth of drills and tests. */
import { createWriteStream } from 'node:fs'

export type JournalEvent =
  | 'hardware-started'
  | 'power-on'
  | 'power-off'
  | 'reset'
  | 'watchdog-armed'
  | 'watchdog-expired'
  | 'link-down'
  | 'killed'
  | 'not-dead-yet'
  | 'dead'
  | 'tear-down-failed'
  | 'self-test'
  | 'booted'
  | 'boot-failed'
  | 'cut'
  | 'heal'

export type JournalEntry = { readonly event: JournalEvent; readonly host?: string; readonly cause?: string }

/** Stamps with wall time when called; writes behind the caller's back, so that no timer waits for a disk. */
export type Journal = (entry: JournalEntry) => void

export function openJournal(path: string): Journal {
  const stream = createWriteStream(path, { flags: 'a' })
  return (entry) => void stream.write(`${JSON.stringify({ atMs: Date.now(), ...entry })}\n`)
}
