/** Reads what a server answered to a call of a route, on Node and in browsers. */
import type { CallOutput, Route } from '../model/api/route.ts'
import { DialtoneError } from '../model/dialtone-error.ts'

/** A parser of outside data: the answer as its schema has it. Fields that this version does not know are left out. */
export function readAnswer<R extends Route>(route: R, text: string, server: string): CallOutput<R> {
  return parseAnswer(route, text === '' ? undefined : parseJson(text, server), server)
}

/** The same for what was JSON already. Throws `internal` with where it differs from what the contract promises. */
export function parseAnswer<R extends Route>(route: R, value: unknown, server: string): CallOutput<R> {
  const result = route.response?.safeParse(value)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it is this schema's own output; only the generic loses it.
  if (result?.success !== false) return result?.data as CallOutput<R>
  const [issue] = result.error.issues
  const where = issue ? `${issue.path.map(String).join('.') || 'the whole'}: ${issue.message}` : 'unknown'
  throw new DialtoneError(
    'internal',
    `${server} answered ${route.method} ${route.path} in a form not understood here (${where}).`,
  )
}

function parseJson(text: string, server: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new DialtoneError('internal', `${server} answered something that is not JSON.`, { cause })
  }
}
