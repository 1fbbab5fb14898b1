/** Figures out of what was counted at two times. */
import { type Figures, noFigures } from '../../model/figures.ts'
import type { Counters } from './host-meter.ts'

/** A counter that went back belongs to another process or device: it began anew, and counts from nothing. */
export function figuresBetween(
  before: Counters,
  after: Counters,
  { elapsedMs, pauseMs }: { readonly elapsedMs: number; readonly pauseMs: number },
): Figures {
  if (elapsedMs <= 0) return { ...noFigures, memoryMiB: after.memoryMiB, pauseMs }
  const grown = (name: keyof Counters) => (after[name] < before[name] ? after[name] : after[name] - before[name])
  const perSecond = (name: keyof Counters) => (grown(name) * 1000) / elapsedMs
  return {
    cpuPercent: (grown('cpuMs') * 100) / elapsedMs,
    memoryMiB: after.memoryMiB,
    diskReadKiBPerSecond: perSecond('diskReadKiB'),
    diskWriteKiBPerSecond: perSecond('diskWrittenKiB'),
    networkInKiBPerSecond: perSecond('networkInKiB'),
    networkOutKiBPerSecond: perSecond('networkOutKiB'),
    pauseMs,
  }
}
