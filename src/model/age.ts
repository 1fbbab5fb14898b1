/** Times as people read them: `3m` for an age, `1.2s` for a duration. */

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** How long ago `iso` was: `12s`, `3m`, `5h`, `2d`; `now` for the last second and for clocks that run ahead; `-` for no time. */
export function formatAge(iso: string | null, nowMs: number): string {
  const atMs = iso === null ? Number.NaN : Date.parse(iso)
  if (Number.isNaN(atMs)) return '-'
  const ageMs = nowMs - atMs
  if (ageMs < second) return 'now'
  if (ageMs < 2 * minute) return `${Math.floor(ageMs / second)}s`
  if (ageMs < 2 * hour) return `${Math.floor(ageMs / minute)}m`
  if (ageMs < 2 * day) return `${Math.floor(ageMs / hour)}h`
  return `${Math.floor(ageMs / day)}d`
}

/** The time itself and its age: `2026-01-02T03:04:05.000Z (3m ago)`. */
export function formatInstant(iso: string | null, nowMs: number): string {
  const age = formatAge(iso, nowMs)
  if (iso === null || age === '-') return iso ?? '-'
  return age === 'now' ? `${iso} (now)` : `${iso} (${age} ago)`
}

/** A duration: `250ms`, `1.2s`, `3m 20s`, `2h 05m`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < second) return `${Math.round(durationMs)}ms`
  if (durationMs < minute) return `${(durationMs / second).toFixed(1)}s`
  if (durationMs < hour) return `${Math.floor(durationMs / minute)}m ${Math.floor((durationMs % minute) / second)}s`
  return `${Math.floor(durationMs / hour)}h ${String(Math.floor((durationMs % hour) / minute)).padStart(2, '0')}m`
}

/** Reads `90`, `90s` or `2m` as seconds; null for anything else. */
export function parseSeconds(text: string): number | null {
  const match = /^(\d{1,6})(s|m|h)?$/.exec(text.trim())
  if (match === null) return null
  const unit = match[2] === 'h' ? 3600 : match[2] === 'm' ? 60 : 1
  return Number(match[1]) * unit
}
