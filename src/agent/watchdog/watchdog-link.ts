/** The agent's line to its host's watchdog process. It reconnects by itself; `tell` resolves when the watchdog has taken the state in. */
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Clock } from '../../model/clock.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Armed } from '../../model/host.ts'
import { type WatchdogState, watchdogAnswerSchema } from './watchdog-message.ts'

export type WatchdogLink = AsyncDisposable & {
  /** Sends the state; resolves when the watchdog answered it, throws `deadline-exceeded` when it doesn't. */
  tell(state: Omit<WatchdogState, 'sequence'>): Promise<void>
  /** What the watchdog last said of its hardware, which stays armed while its process is being restarted; `none` before its first word. */
  armed(): Armed
}

export function createWatchdogLink(
  path: string,
  options: { readonly clock: Clock; readonly deadlineMs: number },
): WatchdogLink {
  const waiting = new Map<number, () => void>()
  const closing = new AbortController()
  let socket: Socket | undefined
  let armed: Armed = 'none'
  let sequence = 0

  const receive = (line: string) => {
    const answer = watchdogAnswerSchema.parse(JSON.parse(line))
    armed = answer.armed
    for (const [number, resolve] of waiting) {
      if (number > answer.sequence) continue
      waiting.delete(number)
      resolve()
    }
  }

  const reconnect = () => {
    if (closing.signal.aborted) return
    const attempt = connect(path)
    attempt.setNoDelay(true)
    attempt.once('connect', () => {
      socket = attempt
      createInterface({ input: attempt }).on('line', receive)
    })
    attempt.on('error', () => attempt.destroy())
    attempt.once('close', () => {
      if (socket === attempt) socket = undefined
      void options.clock.sleep(50, closing.signal).then(reconnect)
    })
  }
  reconnect()

  return {
    armed: () => armed,
    async tell(state) {
      sequence += 1
      const mine = sequence
      const answered = new Promise<'answered'>((resolve) => waiting.set(mine, () => resolve('answered')))
      socket?.write(`${JSON.stringify({ sequence: mine, ...state })}\n`)
      const timer = new AbortController()
      const outcome = await Promise.race([
        answered,
        options.clock.sleep(options.deadlineMs, timer.signal).then(() => 'late' as const),
      ])
      timer.abort()
      waiting.delete(mine)
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
