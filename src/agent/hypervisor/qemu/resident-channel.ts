/**
 * The line to the agent that is resident in the guest: see `resident-protocol.ts`. It is open as long as the machine is watched, so that
 * a request costs no connection. What the guest says is not trusted: it is bounded, and only an answer to the present request counts.
 */
import { randomUUID } from 'node:crypto'
import { createConnection, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { ResidentAnswer, ResidentRequest } from '../resident-protocol.ts'

export type ResidentChannel = {
  /**
   * One request at a time. Throws `guest-silent` when no answer has come in `timeoutMs`, waiting for earlier requests included, and
   * `wrong-state` with the guest's sentence when it refuses.
   */
  ask(request: ResidentRequest, timeoutMs: number): Promise<ResidentAnswer>
  close(): void
}

const reconnectMs = 25
const maximumAnswerBytes = 64 * 1024

type Line = {
  socket: Socket | undefined
  /** Nothing was said on this connection yet. */
  isFresh: boolean
  /** What came since the last whole message. */
  unread: string
  /** Called when something has changed that somebody may wait for. */
  wake: () => void
  isClosed: boolean
}

export function createResidentChannel(path: string): ResidentChannel {
  const line: Line = { socket: undefined, isFresh: true, unread: '', wake: () => undefined, isClosed: false }
  let earlier: Promise<unknown> = Promise.resolve()
  keepConnected(line, path)
  return {
    ask: (request, timeoutMs) => {
      const givesUpAt = performance.now() + timeoutMs
      const answer = earlier.then(() => exchange(line, request, givesUpAt))
      earlier = answer.catch(() => undefined)
      return answer
    },
    close: () => {
      line.isClosed = true
      line.socket?.destroy()
      line.wake()
    },
  }
}

function keepConnected(line: Line, path: string): void {
  if (line.isClosed) return
  const socket = createConnection(path)
  socket.setEncoding('utf8')
  socket.unref()
  socket.once('connect', () => {
    line.socket = socket
    line.unread = ''
    line.isFresh = true
    line.wake()
  })
  socket.on('data', (text: string) => {
    line.unread += text
    if (line.unread.length > maximumAnswerBytes) hangUp(line, socket)
    line.wake()
  })
  socket.on('error', () => undefined)
  socket.once('close', () => {
    if (line.socket === socket) line.socket = undefined
    line.wake()
    setTimeout(() => keepConnected(line, path), reconnectMs).unref()
  })
}

/** Nothing more is said on this connection; another one follows. */
function hangUp(line: Line, socket: Socket): void {
  socket.destroy()
  if (line.socket === socket) line.socket = undefined
}

async function exchange(line: Line, request: ResidentRequest, givesUpAt: number): Promise<ResidentAnswer> {
  const id = randomUUID()
  const message = compose(id, request)
  let asked: Socket | undefined
  while (!line.isClosed && performance.now() < givesUpAt) {
    // Once only, also when the connection ends: the guest may have carried it out.
    if (asked === undefined && line.socket !== undefined) {
      asked = line.socket
      // The empty line ends one that an earlier connection left half.
      asked.write(line.isFresh ? `\n${message}` : message)
      line.isFresh = false
    }
    const answer = takeAnswer(line, id)
    if (answer !== undefined) return judge(answer, request)
    const leftMs = Math.max(1, givesUpAt - performance.now())
    const changed = new Promise<void>((resolve) => {
      line.wake = resolve
    })
    const patience = new AbortController()
    await Promise.race([changed, delay(leftMs, undefined, { signal: patience.signal }).catch(() => undefined)])
    patience.abort()
  }
  // What QEMU could not give to the guest yet must not reach it when nobody waits for the answer any more.
  if (asked !== undefined) hangUp(line, asked)
  throw new DialtoneError('guest-silent', `the resident agent in the guest did not answer "${request.do}"`)
}

function compose(id: string, request: ResidentRequest): string {
  const lines = Object.entries({ id, ...request }).map(([key, value]) => `${key}=${value}`)
  if (lines.some((text) => text.includes('\n')))
    throw new DialtoneError('invalid-input', `a value of "${request.do}" has a line break in it`)
  return `${lines.join('\n')}\n\n`
}

/** Drops what is no answer to this request. */
function takeAnswer(line: Line, id: string): Record<string, string> | undefined {
  const messages = line.unread.split('\n\n')
  line.unread = messages.pop() ?? ''
  return messages.map(parse).find((answer) => answer['id'] === id)
}

function parse(message: string): Record<string, string> {
  const pairs = message.split('\n').flatMap((text) => {
    const at = text.indexOf('=')
    return at < 0 ? [] : [[text.slice(0, at), text.slice(at + 1)] as const]
  })
  return Object.fromEntries(pairs)
}

function judge({ id: _id, ok, error, ...rest }: Record<string, string>, request: ResidentRequest): ResidentAnswer {
  if (ok === '1') return rest
  throw new DialtoneError('wrong-state', `the guest refused "${request.do}": ${error ?? 'it does not say why'}`)
}
