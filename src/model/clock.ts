/** Time as an argument. The real one is `src/linux/system-clock.ts`; the simulator has one that a seed drives. */
export type Clock = {
  /** Milliseconds on a clock that never steps and counts while the machine sleeps (CLOCK_BOOTTIME). */
  bootTimeMs(): number
  /** Wall time, for records that people read. Nothing is decided by it. */
  wallTime(): Date
  /** Resolves after that time, or at once when the signal aborts (never rejects). */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}
