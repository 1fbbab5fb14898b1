/** What holds when, as spans that follow each other: written from the past to the future, and corrected at its end only. */
export type Span<Value> = { readonly fromMs: number; readonly toMs: number; readonly value: Value }

export type SpanTrack<Value> = {
  /** From then on `value` holds; null: nothing does. A time before the beginning of what holds now wipes that out. */
  change(value: Value | null, atMs: number): void
  /** What holds now was something else all along. */
  correct(value: Value): void
  /** All spans up to a time; what holds now ends there. */
  spansUntil(atMs: number): readonly Span<Value>[]
}

export function createSpanTrack<Value>(): SpanTrack<Value> {
  const closed: Span<Value>[] = []
  let open: { readonly fromMs: number; readonly value: Value } | null = null
  const close = (atMs: number) => {
    if (open !== null && atMs > open.fromMs) closed.push({ ...open, toMs: atMs })
    open = null
  }
  return {
    change(value, atMs) {
      close(atMs)
      const fromMs = Math.max(atMs, closed.at(-1)?.toMs ?? atMs)
      if (value !== null) open = { fromMs, value }
    },
    correct(value) {
      if (open !== null) open = { ...open, value }
    },
    spansUntil: (atMs) => (open !== null && atMs > open.fromMs ? [...closed, { ...open, toMs: atMs }] : [...closed]),
  }
}
