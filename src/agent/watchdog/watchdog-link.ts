/** The agent's line to its host's watchdog process. It reconnects by itself; `tell` resolves when the watchdog has taken the state in. */
import { connect, type Socket } from 'node:net'
import { eachLine } from '../../linux/each-line.ts'
import type { Clock } from '../../model/clock.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Armed } from '../../model/host.ts'
import { type WatchdogState, watchdogAnswerSchema } from './watchdog-message.ts'

export type WatchdogLink = AsyncDisposable & {
  /**
   * Sends the state; resolves when the watchdog answered it, throws `deadline-exceeded` when it doesn't. At once when it is not there, or
   * goes away before its answer: the next one is to hear of everything as soon as it is connected, or its hardware resets the host.
   */
  tell(state: Omit<WatchdogState, 'sequence'>): Promise<void>
  /** What the watchdog last said of its hardware, which stays armed while its process is being restarted; `none` before its first word. */
  armed(): Armed
}

export function createWatchdogLink(
  path: string,
  options: { readonly clock: Clock; readonly deadlineMs: number },
): WatchdogLink {
  const waiting = new Map<number, PromiseWithResolvers<'answered'>>()
  const closing = new AbortController()
  let socket: Socket | undefined
  let armed: Armed = 'none'
  let sequence = 0

  const receive = (line: string) => {
    const answer = watchdogAnswerSchema.parse(JSON.parse(line))
    armed = answer.armed
    for (const [number, { resolve }] of waiting) {
      if (number > answer.sequence) continue
      waiting.delete(number)
      resolve('answered')
    }
  }

  const reconnect = () => {
    if (closing.signal.aborted) return
    const attempt = connect(path)
    attempt.setNoDelay(true)
    attempt.once('connect', () => {
      socket = attempt
      eachLine(attempt, receive)
    })
    attempt.on('error', () => attempt.destroy())
    attempt.once('close', () => {
      if (socket === attempt) {
        socket = undefined
        for (const { reject } of waiting.values()) reject(isGone())
        waiting.clear()
      }
      void options.clock.sleep(50, closing.signal).then(reconnect)
    })
  }
  reconnect()

  return {
    armed: () => armed,
    async tell(state) {
      if (socket === undefined) throw isGone()
      sequence += 1
      const mine = sequence
      const answer = Promise.withResolvers<'answered'>()
      waiting.set(mine, answer)
      socket.write(`${JSON.stringify({ ...state, sequence: mine })}\n`)
      const timer = new AbortController()
      const late = options.clock.sleep(options.deadlineMs, timer.signal).then(() => 'late' as const)
      const outcome = await Promise.race([answer.promise, late]).finally(() => {
        timer.abort()
        waiting.delete(mine)
      })
      if (outcome === 'late')
        throw new DialtoneError(
          'deadline-exceeded',
          `the watchdog process did not answer within ${options.deadlineMs} ms`,
        )
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      socket?.destroy()
    },
  }
}

function isGone(): DialtoneError {
  return new DialtoneError('deadline-exceeded', 'the watchdog process is not there')
}
