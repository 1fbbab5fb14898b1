/** Tells an episode that goes round in a circle from one that only takes long on a busy machine: it counts processor time. Pure. */

/** The slowest episodes take a few seconds of it. */
export const mostProcessorMs = 120_000

export type EpisodeWatch = {
  /** The worker begins to play an episode, for the first time or to make it smaller. */
  begins(): void
  /** Given what the worker has used in all by now; true when it has used too much on what it plays. */
  isEndless(processorMs: number): boolean
}

/** Counts from the first look at each episode, so that it never says so too early. */
export function watchEpisodes(mostMs = mostProcessorMs): EpisodeWatch {
  let usedBefore: number | undefined
  return {
    begins() {
      usedBefore = undefined
    },
    isEndless(processorMs) {
      usedBefore ??= processorMs
      return processorMs - usedBefore > mostMs
    },
  }
}
