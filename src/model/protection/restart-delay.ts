/** How long an agent waits before it restarts a machine on the spot, by how often it crashed lately. */

/** Crashes older than this are forgiven. */
export const crashMemoryMs = 10 * 60_000
/** With this many crashes inside the memory the agent gives up and asks the leader. */
export const maximumCrashes = 8

const delaysMs = [0, 250, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000] as const

/** The delay, or null to give up. `crashTimesMs` are the moments of the machine's crashes, the newest included. */
export function restartDelayMs(crashTimesMs: readonly number[], nowMs: number): number | null {
  const recent = crashTimesMs.filter((atMs) => nowMs - atMs < crashMemoryMs).length
  if (recent > maximumCrashes) return null
  return delaysMs[Math.max(0, recent - 1)] ?? null
}
