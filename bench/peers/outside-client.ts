/**
 * The client that every recovery is measured with: like many users it asks over and over, each time over a new connection, and keeps
 * when which answer came. It takes a few percent of a core, since the machines it measures share the cores with it.
 */
import { createConnection, type Socket } from 'node:net'
import { DialtoneError } from '../../src/model/dialtone-error.ts'

export type HttpAnswer = { readonly status: number; readonly body: string }

/** Times are those of `performance.now()`. */
export type TimedAnswer = HttpAnswer & {
  /** When the connection was begun. */
  readonly askedAtMs: number
  /** When the whole answer was there. */
  readonly answeredAtMs: number
  readonly isCorrect: boolean
}

export type OutsideClientOptions = {
  readonly address: string
  readonly port: number
  readonly path: string
  readonly everyMs: number
  readonly isCorrect: (answer: HttpAnswer) => boolean
}

export type OutsideClient = Disposable & {
  /** In the order in which they came; of a long measurement the latest. A question without an answer leaves nothing. */
  readonly answers: readonly TimedAnswer[]
  /** The last correct answer that was there at that moment. */
  lastCorrectBefore(ms: number): TimedAnswer | undefined
  /**
   * The first correct answer to a question asked at or after that moment, which may be past. `isCorrect` may ask for more than the
   * client's own does. Throws `deadline-exceeded` when there is none within `deadlineMs` from now.
   */
  untilCorrectAfter(
    ms: number,
    options: { readonly deadlineMs: number; readonly isCorrect?: (answer: HttpAnswer) => boolean },
  ): Promise<TimedAnswer>
}

const answerWithinMs = 1000
/** Five minutes of answers every 5 ms. */
const keptAnswers = 60_000
const longestAnswerBytes = 65_536

/** Asks from now on until it is disposed of. */
export function createOutsideClient(options: OutsideClientOptions): OutsideClient {
  const answers: TimedAnswer[] = []
  const waiters = new Set<(answer: TimedAnswer) => void>()
  const stopAsking = askEvery(options, (askedAtMs, answer) => {
    const timed = { ...answer, askedAtMs, answeredAtMs: performance.now(), isCorrect: options.isCorrect(answer) }
    answers.push(timed)
    if (answers.length > keptAnswers * 1.5) answers.splice(0, answers.length - keptAnswers)
    for (const tell of waiters) tell(timed)
  })
  return {
    answers,
    lastCorrectBefore: (ms) => answers.findLast((answer) => answer.isCorrect && answer.answeredAtMs <= ms),
    untilCorrectAfter(ms, { deadlineMs, isCorrect = () => true }) {
      const isWanted = (answer: TimedAnswer) => answer.isCorrect && answer.askedAtMs >= ms && isCorrect(answer)
      const earlier = answers.find(isWanted)
      if (earlier !== undefined) return Promise.resolve(earlier)
      return new Promise((resolve, reject) => {
        const finish = () => {
          clearTimeout(timer)
          waiters.delete(look)
        }
        const look = (answer: TimedAnswer) => {
          if (!isWanted(answer)) return
          finish()
          resolve(answer)
        }
        const timer = setTimeout(() => {
          finish()
          const url = `http://${options.address}:${options.port}${options.path}`
          reject(new DialtoneError('deadline-exceeded', `${url} gave no correct answer within ${deadlineMs} ms`))
        }, deadlineMs)
        waiters.add(look)
      })
    },
    [Symbol.dispose]: stopAsking,
  }
}

/** Asks at a steady beat, whether the earlier questions were answered or not. Returns what ends it. */
function askEvery(
  { address, port, path, everyMs }: OutsideClientOptions,
  onAnswer: (askedAtMs: number, answer: HttpAnswer) => void,
): () => void {
  const sockets = new Set<Socket>()
  let nextAtMs = performance.now()
  const tick = () => {
    const nowMs = performance.now()
    const socket = ask({ address, port, path }, (answer) => onAnswer(nowMs, answer))
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // A beat that was missed is not caught up.
    nextAtMs = Math.max(nextAtMs + everyMs, nowMs)
    timer = setTimeout(tick, nextAtMs - nowMs)
  }
  let timer = setTimeout(tick, 0)
  return () => {
    clearTimeout(timer)
    for (const socket of sockets) socket.destroy()
  }
}

function ask(
  { address, port, path }: Pick<OutsideClientOptions, 'address' | 'port' | 'path'>,
  onAnswer: (answer: HttpAnswer) => void,
): Socket {
  const socket = createConnection({ host: address, port, noDelay: true })
  const late = setTimeout(() => socket.destroy(), answerWithinMs)
  let text = ''
  const finishIf = (answer: HttpAnswer | undefined) => {
    if (answer === undefined || socket.destroyed) return
    // A reset leaves no connection behind in TIME_WAIT, of which there would be thousands.
    socket.resetAndDestroy()
    onAnswer(answer)
  }
  socket.setEncoding('latin1')
  socket.on('connect', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: ${address}\r\nConnection: close\r\n\r\n`))
  socket.on('data', (chunk: string) => {
    text += chunk
    if (text.length > longestAnswerBytes) socket.destroy()
    finishIf(readAnswer(text, false))
  })
  socket.on('end', () => finishIf(readAnswer(text, true)))
  // Refused, unreachable or cut off: no answer, which is what the timeline says.
  socket.on('error', () => undefined)
  socket.on('close', () => clearTimeout(late))
  return socket
}

/** The answer when it is whole: as long as it says, or, where it doesn't say, when the connection has ended. */
function readAnswer(text: string, hasEnded: boolean): HttpAnswer | undefined {
  const bodyAt = text.indexOf('\r\n\r\n') + 4
  if (bodyAt < 4) return undefined
  const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(text)?.[1])
  const length = /^content-length: *(\d+)/im.exec(text.slice(0, bodyAt))?.[1]
  const isWhole = length === undefined ? hasEnded : text.length >= bodyAt + Number(length)
  if (Number.isNaN(status) || !isWhole) return undefined
  return { status, body: Buffer.from(text.slice(bodyAt), 'latin1').toString() }
}
