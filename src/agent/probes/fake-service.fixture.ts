/** A service under virtual time: it behaves as it is told from now on, and remembers when it was asked. */
import type { Clock } from '../../model/clock.ts'
import type { CheckAnswer, CheckOnce } from './service-check.ts'

export type Behaviour =
  | { readonly kind: 'correct'; readonly latencyMs: number }
  | { readonly kind: 'wrong'; readonly latencyMs: number; readonly reason: string }
  /** Packets to it are lost, as those to a machine without a process. */
  | { readonly kind: 'silent' }

export type FakeService = {
  readonly checkOnce: CheckOnce
  behave(behaviour: Behaviour): void
  /** When each check began, and how long it would wait. */
  readonly asked: { readonly atMs: number; readonly timeoutMs: number }[]
  /** Checks that wait for an answer at this moment. */
  inFlight(): number
}

export function createFakeService(clock: Clock, first: Behaviour): FakeService {
  let behaviour = first
  let deaths = 0
  let inFlight = 0
  const asked: FakeService['asked'] = []
  const answerTo = async (timeoutMs: number, signal: AbortSignal | undefined): Promise<CheckAnswer> => {
    const silence = { isCorrect: false, isSilent: true, reason: `no answer within ${timeoutMs} ms` } as const
    const met = behaviour
    const metDeaths = deaths
    const latencyMs = met.kind === 'silent' ? timeoutMs + 1 : met.latencyMs
    await clock.sleep(Math.min(latencyMs, timeoutMs), signal)
    // Who dies answers nobody any more.
    if (met.kind !== 'silent' && latencyMs <= timeoutMs && metDeaths === deaths) {
      if (met.kind === 'correct') return { isCorrect: true, latencyMs }
      return { isCorrect: false, isSilent: false, reason: met.reason }
    }
    await clock.sleep(timeoutMs - Math.min(latencyMs, timeoutMs), signal)
    return silence
  }
  return {
    asked,
    inFlight: () => inFlight,
    behave(next) {
      behaviour = next
      if (next.kind === 'silent') deaths += 1
    },
    async checkOnce({ timeoutMs, signal }) {
      asked.push({ atMs: clock.bootTimeMs(), timeoutMs })
      inFlight += 1
      const answer = await answerTo(timeoutMs, signal)
      inFlight -= 1
      return answer
    },
  }
}
