import type { StreamState } from '../transport/follow-events.ts'

/** How long a controller may stay away: longer than its restart, or a change of the leader, takes. */
const patienceMs = 60_000

export type Patience = {
  /** Aborts when the person interrupts, or when the controller has stayed away for too long; the reason is the error to throw. */
  readonly signal: AbortSignal
  /** To be told of every gained and lost connection. */
  readonly onState: (state: StreamState) => void
}

/** A stream's reader reconnects for ever; this ends it. `onLost` is told once for each time that the connection is lost. */
export function startPatience(interrupt: AbortSignal, onLost: () => void): Patience {
  const giveUp = new AbortController()
  let lostAtMs: number | null = null
  return {
    signal: AbortSignal.any([interrupt, giveUp.signal]),
    onState: (state) => {
      if (state.connected) {
        lostAtMs = null
        return
      }
      if (lostAtMs === null) onLost()
      lostAtMs ??= performance.now()
      if (performance.now() - lostAtMs > patienceMs) giveUp.abort(state.error)
    },
  }
}
