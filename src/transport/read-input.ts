/** Validates what a caller sent against a route's schemas, and refuses what the route does not know instead of ignoring it. */
import type { z } from 'zod'
import type { Route } from '../model/api/route.ts'
import { DialtoneError } from '../model/dialtone-error.ts'

export type RawInput = { readonly params: unknown; readonly query: unknown; readonly body: unknown }
export type FieldProblem = { readonly field: string; readonly problem: string }

/** What to do with fields that a schema does not have: a user's typing mistake is refused, a newer peer's addition may be ignored. */
export type UnknownFields = 'refuse' | 'ignore'

type Path = readonly PropertyKey[]
type Reading = { readonly value: unknown; readonly problems: readonly FieldProblem[] }

/** The input with defaults filled in. Throws `invalid-input` whose detail is `{ fields: FieldProblem[] }`. */
export function readInput(route: Route, raw: RawInput, unknownFields: UnknownFields): RawInput {
  const params = readPart(raw.params, route.params, unknownFields)
  const query = readPart(raw.query ?? {}, route.query, unknownFields)
  const body = readPart(raw.body ?? undefined, route.body, unknownFields)
  const problems = [...params.problems, ...query.problems, ...body.problems]
  if (problems.length > 0)
    throw new DialtoneError('invalid-input', sentence(problems), { detail: { fields: problems } })
  return { params: params.value, query: query.value, body: body.value }
}

function readPart(raw: unknown, schema: z.ZodType | undefined, unknownFields: UnknownFields): Reading {
  const result = schema ? schema.safeParse(raw) : ({ success: true, data: undefined } as const)
  if (!result.success) return { value: undefined, problems: result.error.issues.flatMap(issueProblems) }
  const unknown = unknownFields === 'refuse' ? unknownPaths(raw, result.data, []) : []
  return { value: result.data, problems: unknown.map(unknownField) }
}

function issueProblems(issue: z.core.$ZodIssue): readonly FieldProblem[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownField([...issue.path, key]))
  return [{ field: fieldName(issue.path), problem: issue.message }]
}

const unknownField = (path: Path): FieldProblem => ({ field: fieldName(path), problem: 'is not known here' })

/** Where a schema stands for one value, such as a string as the whole body, there is no field to name. */
const fieldName = (path: Path): string => path.map(String).join('.') || 'body'

/**
 * Paths of what `raw` has and the parsed value lacks: the schema dropped it. This works for every kind of schema, nested too, without
 * each having to be strict; a schema that renames keys by a transform has no place in a contract.
 */
export function unknownPaths(raw: unknown, parsed: unknown, path: Path): readonly Path[] {
  if (Array.isArray(raw) && Array.isArray(parsed)) {
    return raw.flatMap((item, index) => unknownPaths(item, parsed[index], [...path, index]))
  }
  if (!isRecord(raw)) return parsed === undefined && raw !== undefined ? [path] : []
  const known = isRecord(parsed) ? parsed : {}
  if (parsed !== undefined && !isRecord(parsed)) return []
  return Object.entries(raw).flatMap(([key, value]) =>
    Object.hasOwn(known, key) ? unknownPaths(value, known[key], [...path, key]) : [[...path, key]],
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** All that is wrong at once, so that a caller need not find out one by one; the first five in words. */
function sentence(problems: readonly FieldProblem[]): string {
  const told = problems.slice(0, 5).map(({ field, problem }) => `${field}: ${problem}`)
  const more = problems.length > told.length ? `; and ${problems.length - told.length} more` : ''
  return `The input is not accepted: ${told.join('; ')}${more}.`
}
