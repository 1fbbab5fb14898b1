/** Which snapshot a schedule takes now, and which it lets go. Pure: time is an argument. */
import type { SnapshotId } from '../../model/ids.ts'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'
import type { SnapshotSchedule } from '../../model/snapshots/snapshot-schedule.ts'

export type ScheduleQuestion = {
  readonly schedule: SnapshotSchedule
  /** All snapshots of the machine. */
  readonly snapshots: readonly Snapshot[]
  /** When it was tried last, whatever came of it; null when it never was. */
  readonly triedAtMs: number | null
  readonly nowMs: number
}

export type SchedulePlan = {
  /** The name of the snapshot that is due; null when none is. */
  readonly takes: string | null
  readonly letsGo: readonly SnapshotId[]
}

/** After a failure it is tried again so soon, however long the pace. */
const retryAfterMs = 60_000

export function planSchedule({ schedule, snapshots, triedAtMs, nowMs }: ScheduleQuestion): SchedulePlan {
  const own = snapshots
    .filter(({ origin }) => origin === 'schedule')
    .sort((left, right) => Date.parse(left.takenAt) - Date.parse(right.takenAt))
  const everyMs = schedule.everySeconds * 1000
  const lastMs = Math.max(Date.parse(schedule.setAt), ...own.map(({ takenAt }) => Date.parse(takenAt)))
  const isFirst = own.length === 0 && triedAtMs === null
  const isDue = isFirst || nowMs >= lastMs + everyMs
  const mayTry = triedAtMs === null || nowMs >= triedAtMs + Math.min(everyMs, retryAfterMs)
  const surplus = Math.max(0, own.length - schedule.keep)
  const letsGo = own
    .slice(0, surplus)
    .filter(({ isProtected }) => !isProtected)
    .map(({ id }) => id)
  return { takes: isDue && mayTry ? nameFor(nowMs, snapshots) : null, letsGo }
}

/** `auto-20260102-0304`, and a letter more where that is taken. */
function nameFor(nowMs: number, snapshots: readonly Snapshot[]): string {
  const digits = new Date(nowMs).toISOString().replaceAll(/[^0-9]/g, '')
  const stem = `auto-${digits.slice(0, 8)}-${digits.slice(8, 12)}`
  const taken = new Set(snapshots.map(({ name }) => name))
  for (let index = 1; ; index += 1) {
    const name = index === 1 ? stem : `${stem}-${index}`
    if (!taken.has(name)) return name
  }
}
