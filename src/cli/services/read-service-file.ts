/** Reads a service file: YAML, held against its schema and examined, each problem with the line and column where it stands. */
import { readFile } from 'node:fs/promises'
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { examineServiceFile } from '../../control/services/examine-service-file.ts'
import { type FileProblem, type ServiceFile, serviceFileSchema } from '../../model/service/service-file.ts'
import { CommandFailure, exitCodes } from '../command-failure.ts'

/** What somebody wrote, and where in it each value stands. */
export type ReadServiceFile = {
  readonly file: ServiceFile
  /** The failure that these problems make, with lines and columns. */
  refuse(problems: readonly FileProblem[]): CommandFailure
}

/** Throws a CommandFailure that names all problems. `path` is for the sentences; `-` reads standard input. */
export async function readServiceFile(path: string): Promise<ReadServiceFile> {
  const text = await readFile(path === '-' ? '/dev/stdin' : path, 'utf8').catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error)
    throw new CommandFailure('invalid-input', `${path} cannot be read: ${why}`, {
      exitCode: exitCodes.usage,
      next: 'Give the path of a service file: dialtone apply -f shop.yaml.',
    })
  })
  return parseServiceFile(text, path)
}

export function parseServiceFile(text: string, path: string): ReadServiceFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${path}:${line}:${col}`
  }
  if (document.errors.length > 0) throw failure(document.errors.map(({ pos, message }) => `${at(pos[0])}: ${message}`))
  const refuse = (problems: readonly FileProblem[]) =>
    failure(problems.map((problem) => `${at(offsetOf(document, problem.path))}: ${problem.message}`))
  const parsed = serviceFileSchema.safeParse(document.toJS({ maxAliasCount: 100 }))
  if (!parsed.success) throw refuse(parsed.error.issues.flatMap(problemsOf))
  const problems = examineServiceFile(parsed.data)
  if (problems.length > 0) throw refuse(problems)
  return { file: parsed.data, refuse }
}

/** A field that nobody knows stands where its name does. */
function problemsOf(issue: z.core.$ZodIssue): readonly FileProblem[] {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
  const where = path.length === 0 ? '' : `${path.join('.')}: `
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...path, key], message: `there is no field ${key} here` }))
  return [{ path, message: `${where}${issue.message}` }]
}

/** Where the value of this path begins, or the nearest that there is around it: something that is missing stands nowhere. */
function offsetOf(document: Document, path: FileProblem['path']): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true)
    const last = path[length - 1]
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(last))
      if (isPair(pair) && isNode(pair.key) && pair.key.range) return pair.key.range[0]
    }
    const node = document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range) return node.range[0]
  }
  return document.contents?.range?.[0] ?? 0
}

function failure(sentences: readonly string[]): CommandFailure {
  return new CommandFailure('invalid-input', sentences.join('\n'), {
    exitCode: exitCodes.usage,
    next: 'Correct what is named. The schema: dialtone service schema, and docs/service-file.schema.json.',
  })
}
