export type Turns = { (): Promise<void>; idle(): Promise<void> }

/** Never twice at the same time; calls that come meanwhile share one more turn, which begins after all of them. */
export function oneAtATime(work: () => Promise<void>): Turns {
  let current: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined
  const turn = () => {
    next ??= current
      .catch(() => undefined)
      .then(() => {
        next = undefined
        current = work()
        return current
      })
    return next
  }
  return Object.assign(turn, { idle: () => (next ?? current).catch(() => undefined) })
}
