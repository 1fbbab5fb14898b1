/** Orders to a machine that may be busy, or whose host may just be coming back: asked again until they are carried out or time is up. */
import { DialtoneError, type ErrorCode } from '../../model/dialtone-error.ts'
import type { Leader } from '../leader.ts'

const askAgainMs = 300
const passing: readonly ErrorCode[] = ['in-use', 'host-unreachable', 'session-void', 'deadline-exceeded', 'conflict']

/** Throws what doesn't pass by itself, and the last refusal when this time is over. */
export async function untilAnswered<Answer>(
  leader: Leader,
  { withinMs, signal, tell }: { readonly withinMs: number; readonly signal: AbortSignal; tell(why: string): void },
  ask: () => Promise<Answer>,
): Promise<Answer> {
  const givesUpAtMs = leader.clock.bootTimeMs() + withinMs
  for (;;) {
    signal.throwIfAborted()
    try {
      return await ask()
    } catch (error) {
      const mayPass = error instanceof DialtoneError && passing.includes(error.code)
      if (!mayPass || leader.clock.bootTimeMs() > givesUpAtMs) throw error
      tell(error.message)
    }
    await leader.clock.sleep(askAgainMs, signal)
  }
}
