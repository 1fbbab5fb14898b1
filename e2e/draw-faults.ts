/** What goes wrong in one round, drawn from a seed: the same seed, the same faults at the same moments. Pure. */
import { mulberry32 } from './seeded-random.ts'

/** Each is done to a host, but for those of the controller and the storage, which there are one of. */
export const faultKinds = [
  'its cable is pulled',
  'it doesn’t reach the controller',
  'it doesn’t reach the storage',
  'nothing reaches it',
  'nothing of it arrives',
  'a third of its packets is lost',
  'its packets come late',
  'its agent stands still',
  'its watchdog process stands still',
  'its QEMU stands still',
  'its agent is killed',
  'its QEMU is killed',
  'its QEMU is killed with writes under way',
  'all of it stands still',
  'its mount of the storage breaks',
  'its reset button is pressed',
  'its power is cut',
  'the storage hangs',
  'the storage is cut off',
  'the controller stands still',
  'the controller is killed',
  // No fault, but what faults meet.
  'its machine is moved',
] as const
export type FaultKind = (typeof faultKinds)[number]

/** Whose: the host that runs the machine when the round begins, or one of the others. */
export type FaultTarget = 'home' | 'second' | 'third'

export type Fault = {
  readonly kind: FaultKind
  readonly on: FaultTarget
  /** From the beginning of the round. */
  readonly atMs: number
  /** Until it is healed. */
  readonly forMs: number
}

const mostFaults = 3
const longestMs = 10_000

/** One to three faults within two seconds, most of them on the host that runs the machine, each for up to ten seconds. */
export function drawFaults(seed: number): readonly Fault[] {
  const random = mulberry32(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  return Array.from({ length: 1 + below(mostFaults) }, () => {
    const kind = faultKinds[below(faultKinds.length)] ?? faultKinds[0]
    const on = random() < 0.7 ? 'home' : random() < 0.5 ? 'second' : 'third'
    // Short ones are the more treacherous: half of them end before a lease does.
    const forMs = random() < 0.5 ? 200 + below(2_800) : 3_000 + below(longestMs - 3_000)
    return { kind, on, atMs: below(2_000), forMs } as const
  }).sort((left, right) => left.atMs - right.atMs)
}
