/** Lets a machine stand still for a snapshot of several machines at one instant, and never for longer than was said. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import { enqueue, type Keeping, whenStill } from '../machines/keeping.ts'

/** Resolves when its vCPUs stand still. `forMs` 0: it goes on; false when the time had passed before. */
export function holdMachine(keeping: Keeping, forMs: number): Promise<boolean> {
  if (forMs === 0) return letGoOfHold(keeping)
  return enqueue(keeping, async () => {
    const { phase, running, record, ports } = keeping
    if (running === undefined || (phase !== 'running' && phase !== 'paused') || keeping.isReleased)
      throw new DialtoneError('wrong-state', `${record.machine.name} is ${phase}: it can't be held still with others`)
    if (phase === 'paused' || keeping.hold !== undefined) return true
    await running.pause()
    const timer = new AbortController()
    keeping.hold = { endsAtMs: ports.clock.bootTimeMs() + forMs, timer }
    void ports.clock.sleep(forMs, timer.signal).then(() => (timer.signal.aborted ? undefined : letGoOfHold(keeping)))
    return true
  })
}

/** It goes on, unless nobody held it. True when it was held until now. */
export async function letGoOfHold(keeping: Keeping): Promise<boolean> {
  const { hold } = keeping
  if (hold === undefined) return false
  keeping.hold = undefined
  hold.timer.abort()
  await enqueue(keeping, () => whenStill(keeping, 'running', (machine) => machine.resume()))
  return true
}
