import { DialtoneError } from '../../model/dialtone-error.ts'
import type { MonotonicClock } from '../monotonic-clock.ts'

/** The result, or `deadline-exceeded` when it takes longer; what was begun goes on, and its later failure is dropped. */
export async function withinDeadline<Result>(
  result: Promise<Result>,
  options: { readonly clock: MonotonicClock; readonly deadlineMs: number; readonly what: string },
): Promise<Result> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const cancel = options.clock.after(options.deadlineMs, () => {
    reject(new DialtoneError('deadline-exceeded', `${options.what} did not answer within ${options.deadlineMs} ms.`))
  })
  try {
    return await Promise.race([result, late])
  } finally {
    cancel()
  }
}
