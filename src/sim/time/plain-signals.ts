/**
 * Node keeps every combined signal that somebody listens to until it aborts, and with it all that the listeners hold. The signals of a simulated
 * process never abort, and so no world would ever be let go of: a megabyte for each episode. A signal that is made of listeners lives no
 * longer than what it was combined from.
 */
export function usePlainSignals(): void {
  AbortSignal.any = combine
}

function combine(signals: Iterable<AbortSignal>): AbortSignal {
  const combined = new AbortController()
  for (const signal of signals) {
    if (signal.aborted) combined.abort(signal.reason)
    else signal.addEventListener('abort', () => combined.abort(signal.reason), { once: true })
  }
  return combined.signal
}
