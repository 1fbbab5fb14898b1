/** What a dead process had sent to a disk may land up to the drain time later; nobody may be told before that it let go. */
import { isStill, type Keeping } from './keeping.ts'
import { sharedStoragesOf } from './launch-machine.ts'

/** A process of it is dead that may have been writing. What stood still, or was handed over, had nothing on its way. */
export function noteWriterDied(keeping: Keeping): void {
  const { ports, phase, record } = keeping
  if (phase === 'paused' || isStill(keeping) || record.handedOverTo !== null) return
  keeping.landedAtMs = ports.clock.bootTimeMs() + ports.licences.timings().drainMs
}

/** Resolves when all that its dead processes had sent to disks that other hosts can open has landed. */
export async function untilLanded({ landedAtMs, record, ports }: Keeping): Promise<void> {
  if (sharedStoragesOf(record.machine, ports).length === 0) return
  const leftMs = landedAtMs - ports.clock.bootTimeMs()
  if (leftMs > 0) await ports.clock.sleep(leftMs)
}
