/** How a command ends badly: an exit code, one sentence, the next step. */
import { DialtoneError, type ErrorCode, errorCatalogue } from '../model/dialtone-error.ts'
import { printableText } from '../model/printable-text.ts'
import { formatTable, styled } from './text-table.ts'

export const exitCodes = { ok: 0, failed: 1, usage: 2, unreachable: 3, interrupted: 130 } as const
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** Ends the command with `exitCode`; says one sentence and what to do next. */
export class CommandFailure extends Error {
  readonly code: ErrorCode
  readonly exitCode: ExitCode
  readonly next: string
  readonly detail: unknown

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly exitCode: ExitCode; readonly next: string; readonly detail?: unknown },
  ) {
    super(message)
    this.name = 'CommandFailure'
    this.code = code
    this.exitCode = options.exitCode
    this.next = options.next
    this.detail = options.detail
  }
}

/** Any error as a failure. One that is not foreseen stays recognizable as our defect. */
export function failureOf(error: unknown): CommandFailure {
  if (error instanceof CommandFailure) return error
  if (error instanceof DialtoneError) {
    const { next } = errorCatalogue[error.code]
    return new CommandFailure(error.code, error.message, { exitCode: exitCodes.failed, next, detail: error.detail })
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const next = 'This is a defect of the dialtone command: please report it with the command that you gave.'
  return new CommandFailure('internal', message, { exitCode: exitCodes.failed, next })
}

/** The failure as the API's error envelope, one line of JSON. */
export function formatEnvelope(failure: CommandFailure): string {
  const { code, message, next, detail } = failure
  const { retryable } = errorCatalogue[code]
  return `${JSON.stringify({ error: { code, message, next, retryable, detail } })}\n`
}

/** The failure for people: `error: sentence`, the next step below it, then the verdict of each host where there is one. */
export function formatFailure(
  failure: CommandFailure,
  layout: { readonly width: number | null; readonly colour: boolean },
): string {
  const prefix = styled('error:', layout.colour ? 'red' : null)
  const rows = verdictsOf(failure.detail).map(({ hostName, fits, reason }) => [hostName, fits ? 'fits' : 'no', reason])
  const verdicts = rows.length === 0 ? '' : formatTable(['HOST', 'FITS', 'REASON'], rows, layout)
  return `${prefix} ${printableText(failure.message)}\n${printableText(failure.next)}\n${verdicts}`
}

type Verdict = { readonly hostName: string; readonly fits: boolean; readonly reason: string }

function verdictsOf(detail: unknown): Verdict[] {
  if (!hasVerdicts(detail)) return []
  return detail.verdicts.filter(isVerdict)
}

function hasVerdicts(detail: unknown): detail is { readonly verdicts: readonly unknown[] } {
  return typeof detail === 'object' && detail !== null && 'verdicts' in detail && Array.isArray(detail.verdicts)
}

function isVerdict(value: unknown): value is Verdict {
  if (typeof value !== 'object' || value === null) return false
  if (!('hostName' in value && 'fits' in value && 'reason' in value)) return false
  return typeof value.hostName === 'string' && typeof value.fits === 'boolean' && typeof value.reason === 'string'
}
