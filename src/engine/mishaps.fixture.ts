/** What may happen to an order on its way, for tests that let it happen to each: in the end there is the whole, or nothing of it. */
import { DialtoneError } from '../model/dialtone-error.ts'
import type { Cloud } from './cloud.fixture.ts'
import type { Call } from './fake-agents.fixture.ts'

export type Mishap = 'fails once' | 'loses its answer once' | 'crashes before' | 'crashes after'
export const mishaps: readonly Mishap[] = ['fails once', 'loses its answer once', 'crashes before', 'crashes after']

/** Lets the nth call of this kind, the first by default, meet with the mishap. */
export function arrange(
  cloud: Cloud,
  mishap: Mishap,
  of: { readonly call: Call; readonly nth?: number; readonly code?: DialtoneError['code'] },
): void {
  const { call, nth = 1, code = 'storage-failed' } = of
  let calls = 0
  const moment = mishap === 'fails once' || mishap === 'crashes before' ? 'before' : 'after'
  cloud.agents.intercept = (seen, at) => {
    if (seen !== call || at !== moment) return
    calls += 1
    if (calls !== nth) return
    if (mishap.startsWith('crashes')) cloud.crash()
    throw new DialtoneError(code, `${call} met with: ${mishap}`)
  }
}

/** After a crash another controller takes over. */
export async function comeBack(cloud: Cloud): Promise<void> {
  if (!cloud.engine().leader.signal.aborted) return
  cloud.agents.intercept = () => undefined
  await cloud.clock.advance(300)
  await cloud.startEngine()
}

/** Every task comes to its end, whoever leads, and what the loops do about that is done. */
export async function letItEnd(cloud: Cloud): Promise<void> {
  await cloud.clock.advance(1_500)
  await comeBack(cloud)
  const isOver = () => [...cloud.state().tasks.values()].every(({ endedAt }) => endedAt !== null)
  await cloud.clock.until('every task has ended', isOver, 400_000)
  await cloud.clock.advance(3_000)
}
