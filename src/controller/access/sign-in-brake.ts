/** Counts failed sign-ins by address, and by address and name, in memory: a guesser waits, and nobody can lock somebody else out. */
import { type AttemptLimit, judgeAttempts } from '../../control/judge-attempts.ts'
import type { Clock } from '../../model/clock.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'

export type SignInBrake = {
  /** Throws `too-many-attempts` while this one has to wait. */
  admit(address: string, userName: string): void
  failed(address: string, userName: string): void
  /** What failed before is forgotten for this name, not for the address: who has one account may still not guess at others. */
  succeeded(address: string, userName: string): void
}

const perName: AttemptLimit = { most: 5, withinMs: 60_000 }
const perAddress: AttemptLimit = { most: 20, withinMs: 60_000 }
/** The oldest go: who makes up addresses gains attempts, but no memory of ours. */
const mostRemembered = 10_000

export function createSignInBrake(clock: Clock): SignInBrake {
  const failures = new Map<string, readonly number[]>()
  const keysOf = (address: string, userName: string) =>
    [
      [`${address} ${userName}`, perName],
      [address, perAddress],
    ] as const

  return {
    admit(address, userName) {
      const nowMs = clock.bootTimeMs()
      for (const [key, limit] of keysOf(address, userName)) {
        const { waitUntilMs } = judgeAttempts(failures.get(key) ?? [], nowMs, limit)
        if (waitUntilMs === null) continue
        const seconds = Math.ceil((waitUntilMs - nowMs) / 1000)
        const message = `Too many sign-ins have failed from here: wait ${seconds} s.`
        throw new DialtoneError('too-many-attempts', message, { detail: { waitSeconds: seconds } })
      }
    },
    failed(address, userName) {
      const nowMs = clock.bootTimeMs()
      for (const [key, limit] of keysOf(address, userName)) {
        const { counted } = judgeAttempts(failures.get(key) ?? [], nowMs, limit)
        failures.delete(key)
        failures.set(key, [...counted, nowMs].slice(-limit.most))
      }
      for (const key of failures.keys()) {
        if (failures.size <= mostRemembered) break
        failures.delete(key)
      }
    },
    succeeded: (address, userName) => void failures.delete(`${address} ${userName}`),
  }
}
