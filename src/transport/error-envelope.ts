/** How an error crosses the wire: one shape for every status of every route, made here and read here. */
import { z } from 'zod'
import { DialtoneError, type ErrorCode, errorCatalogue } from '../model/dialtone-error.ts'

export type ErrorEnvelope = {
  readonly error: {
    readonly code: ErrorCode
    readonly message: string
    readonly next: string
    readonly retryable: boolean
    readonly detail?: unknown
  }
}

export type ErrorAnswer = { readonly status: number; readonly envelope: ErrorEnvelope }

const envelopeSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), detail: z.unknown().optional() }),
})

/**
 * The answer to an error. What isn't ours becomes `internal` and tells nothing of its inside. Faults of HTTP itself (wrong method, too
 * long, not JSON) are `invalid-input` and keep the status that HTTP has for them.
 */
export function answerError(error: unknown): ErrorAnswer {
  if (error instanceof DialtoneError) return answerWith(error.code, error.message, { detail: error.detail })
  const fault = httpFault(error)
  if (fault) return answerWith('invalid-input', fault.message, { status: fault.status })
  return answerWith('internal', 'The request failed for a reason that was not foreseen; the log has it.', {})
}

/** The answer with this code, whose status may be another than the catalogue's. */
export function answerWith(
  code: ErrorCode,
  message: string,
  options: { readonly status?: number; readonly detail?: unknown },
): ErrorAnswer {
  const { status, next, retryable } = errorCatalogue[code]
  const detail = options.detail === undefined ? {} : { detail: options.detail }
  return { status: options.status ?? status, envelope: { error: { code, message, next, retryable, ...detail } } }
}

/** The error that a peer answered, as if it had been thrown here. `server` names the peer in the sentence when it answered something else. */
export function readErrorAnswer(status: number, text: string, server: string): DialtoneError {
  const envelope = envelopeSchema.safeParse(parseJson(text))
  if (!envelope.success) return strangeAnswer(status, server)
  const { code, message, detail } = envelope.data.error
  return new DialtoneError(isErrorCode(code) ? code : 'internal', message, { detail })
}

function strangeAnswer(status: number, server: string): DialtoneError {
  const sentence = `${server} answered with HTTP status ${status} and not as Dialtone does.`
  return new DialtoneError(status >= 500 ? 'host-unreachable' : 'internal', sentence)
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCatalogue, code)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A fault that the HTTP layer found: fastify's errors of the 4xx kind. */
function httpFault(error: unknown): { readonly status: number; readonly message: string } | undefined {
  if (!(error instanceof Error) || !('statusCode' in error) || !('code' in error)) return undefined
  const { statusCode, code } = error
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return undefined
  if (typeof code !== 'string' || !code.startsWith('FST_')) return undefined
  return { status: statusCode, message: error.message.endsWith('.') ? error.message : `${error.message}.` }
}
