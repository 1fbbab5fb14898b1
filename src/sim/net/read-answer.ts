/** What a caller makes of an answer that came over a simulated line: the same schema as over a real one. */
import type { CallOutput, Route } from '../../model/api/route.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'

/** Throws `internal` for an answer that the contract doesn't know. */
export function readAnswer<R extends Route>(route: R, value: unknown): CallOutput<R> {
  const result = route.response?.safeParse(value)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it is this schema's own output; only the generic loses it.
  if (result?.success !== false) return result?.data as CallOutput<R>
  const [issue] = result.error.issues
  throw new DialtoneError('internal', `${route.path} was answered wrongly: ${issue?.path.join('.')} ${issue?.message}`)
}
