/** Server-sent events: ids for resuming, a pulse for liveness, back-pressure, and an end that differs from a lost connection. */
import type { ServerResponse } from 'node:http'
import { answerError } from './error-envelope.ts'
import { streamEnd, streamError } from './stream-protocol.ts'

/** One event. With its id a reader that lost the connection asks for what came after it. */
export type SentEvent<Data> = { readonly id: number | string; readonly event?: string; readonly data: Data }

export const defaultPulseMs = 15_000

export type SendEventsOptions = {
  /** Aborts when the reader is gone or the server closes; then the connection is destroyed at once. */
  readonly signal: AbortSignal
  /** A comment is sent this often, so that the reader can tell silence from a dead connection. */
  readonly pulseMs: number
  readonly onError: (error: unknown) => void
}

/** Sends the events until they end, fail, or the signal aborts. Never rejects: a failure is told to the reader as the last frame. */
export async function sendEvents(
  response: ServerResponse,
  events: AsyncIterable<SentEvent<unknown>>,
  options: SendEventsOptions,
): Promise<void> {
  const { signal } = options
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  response.write(': open\n\n')
  sendPulse(response, options.pulseMs)
  const destroy = () => response.destroy()
  if (signal.aborted) destroy()
  signal.addEventListener('abort', destroy, { once: true })
  try {
    for await (const event of events) {
      if (signal.aborted) return
      if (!response.write(frame(event))) await writable(response)
    }
    response.end(`event: ${streamEnd}\ndata: {}\n\n`)
  } catch (error) {
    if (signal.aborted) return
    options.onError(error)
    response.end(`event: ${streamError}\ndata: ${JSON.stringify(answerError(error).envelope)}\n\n`)
  } finally {
    signal.removeEventListener('abort', destroy)
  }
}

/** Also destroys the connection of a reader that took nothing for a whole interval while its buffer was full: it is gone or stuck. */
function sendPulse(response: ServerResponse, pulseMs: number): void {
  let wasFull = false
  const timer = setInterval(() => {
    if (response.writableNeedDrain) {
      if (wasFull) response.destroy()
      wasFull = true
      return
    }
    wasFull = false
    response.write(': pulse\n\n')
  }, pulseMs)
  timer.unref()
  for (const end of ['finish', 'close']) response.once(end, () => clearInterval(timer))
  // A drain and a new filling in between mean that the reader is slow, not stuck.
  response.on('drain', () => {
    wasFull = false
  })
}

function frame({ id, event, data }: SentEvent<unknown>): string {
  const name = event === undefined ? '' : `event: ${oneLine(event)}\n`
  return `id: ${oneLine(String(id))}\n${name}data: ${JSON.stringify(data)}\n\n`
}

/** A line break would begin another field of the frame. */
const oneLine = (text: string): string => text.replaceAll(/[\r\n\0]/g, ' ')

function writable(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const go = () => {
      response.off('drain', go)
      response.off('close', go)
      resolve()
    }
    response.on('drain', go)
    response.on('close', go)
  })
}
