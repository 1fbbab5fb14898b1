/**
 * Reports to the leader at a steady beat, and at once when something changed. Each acknowledgement extends the lease from the moment the
 * heartbeat was *sent*. One is under way at a time; one that isn't answered in time is given up, so a dead link delays the next by little.
 */
import type { Acknowledgement, Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import type { Clock } from '../../model/clock.ts'
import type { Logger } from '../../model/logger.ts'
import type { Timings } from '../../model/timings.ts'

export type HeartbeatSender = {
  /** Sends the next one now instead of at its time. */
  beatSoon(): void
}

export type HeartbeatSenderOptions = {
  readonly clock: Clock
  readonly logger: Logger
  readonly signal: AbortSignal
  timings(): Timings
  compose(sequence: number, unanswered: number): Heartbeat
  post(heartbeat: Heartbeat, timeoutMs: number): Promise<Acknowledgement>
  received(acknowledgement: Acknowledgement, sent: { readonly heartbeat: Heartbeat; readonly sentAtMs: number }): void
}

export function sendHeartbeats(options: HeartbeatSenderOptions): HeartbeatSender {
  let wake = new AbortController()
  let isDue = false
  void beatForever()
  return {
    beatSoon() {
      isDue = true
      wake.abort()
    },
  }

  async function beatForever(): Promise<void> {
    let unanswered = 0
    for (let sequence = 0; !options.signal.aborted; sequence += 1) {
      isDue = false
      if (wake.signal.aborted) wake = new AbortController()
      const startedAtMs = options.clock.bootTimeMs()
      const error = await beat(sequence, unanswered)
      const wasConnected = unanswered === 0
      unanswered = error === undefined ? 0 : unanswered + 1
      const isConnected = unanswered === 0
      if (!isConnected && wasConnected) options.logger.warn('heartbeat.unanswered', { error })
      if (isConnected && !wasConnected) options.logger.info('heartbeat.answered-again', {})
      const waitMs = options.timings().heartbeatMs - (options.clock.bootTimeMs() - startedAtMs)
      // After a failure the beat stays steady even when changes are waiting: a dead link is not to be hammered.
      if ((!isDue || !isConnected) && waitMs > 0)
        await options.clock.sleep(waitMs, isConnected ? wake.signal : options.signal)
    }
  }

  async function beat(sequence: number, unanswered: number): Promise<unknown> {
    const heartbeat = options.compose(sequence, unanswered)
    const sentAtMs = options.clock.bootTimeMs()
    try {
      const timeoutMs = Math.max(500, 2 * options.timings().heartbeatMs)
      const acknowledgement = await options.post(heartbeat, timeoutMs)
      options.received(acknowledgement, { heartbeat, sentAtMs })
      return undefined
    } catch (error) {
      return error
    }
  }
}
