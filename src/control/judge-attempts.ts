/** How often somebody may guess: a brake on sign-in that stops a guesser and hardly ever a person. */

export type AttemptLimit = { readonly most: number; readonly withinMs: number }

/** What has failed lately and still counts, and until when nothing more is looked at; null when the next attempt is. */
export function judgeAttempts(
  failedAtMs: readonly number[],
  nowMs: number,
  { most, withinMs }: AttemptLimit,
): { readonly counted: readonly number[]; readonly waitUntilMs: number | null } {
  const counted = failedAtMs.filter((at) => at > nowMs - withinMs)
  const first = counted.length >= most ? counted[counted.length - most] : undefined
  return { counted, waitUntilMs: first === undefined ? null : first + withinMs }
}
