/** Tidies the layers of a machine by order, as the leader watches. */
import type { TidyReport } from '../../model/agent-protocol/snapshot-orders.ts'
import type { Keeping } from '../machines/keeping.ts'
import { stopTidying, tidyLayers } from '../recovery/tidy-layers.ts'

/** Begins to tidy unless that is under way, or calls it off; answers when it is over or this time has passed. */
export async function followTidying(
  keeping: Keeping,
  { waitMs, isCalledOff }: { readonly waitMs: number; readonly isCalledOff: boolean },
): Promise<TidyReport> {
  const { ports, record, image } = keeping
  if (isCalledOff) {
    await stopTidying(keeping)
    return { isDone: true, detail: 'the merge was called off; it is done later' }
  }
  if (image.isCapturing) return { isDone: false, detail: `waits: ${record.machine.name} is being captured or moved` }
  const timer = new AbortController()
  const over = tidyLayers(keeping).then(() => true)
  const isDone = await Promise.race([over, ports.clock.sleep(waitMs, timer.signal).then(() => false)])
  timer.abort()
  return { isDone, detail: keeping.tidying?.progress ?? '' }
}
