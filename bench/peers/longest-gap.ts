/** How long a client went without a correct answer at the most. */
import type { TimedAnswer } from './outside-client.ts'

/** Between two correct answers that came one after the other, in milliseconds. */
export function longestGap(answers: readonly TimedAnswer[]): number {
  const correct = answers.filter(({ isCorrect }) => isCorrect).map(({ answeredAtMs }) => answeredAtMs)
  const sorted = correct.toSorted((left, right) => left - right)
  return Math.max(0, ...sorted.slice(1).map((atMs, index) => atMs - (sorted[index] ?? atMs)))
}
