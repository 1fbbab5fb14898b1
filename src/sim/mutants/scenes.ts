/** Whole courses of events that an aimed episode may have: who stands still, is cut off or loses its storage when, so that one margin alone is left. */

import { defaultTimings } from '../../model/timings.ts'
import type { Step } from '../episode/episode-plan.ts'
import type { FaultWish } from '../faults/fault.ts'
import type { SeededRandom } from '../seeded-random.ts'
import { parse } from './with-steps.ts'

export type Aim = { readonly victim: string; readonly names: readonly string[]; readonly beganAtMs: number }
export type Scene = (random: SeededRandom, aim: Aim) => readonly Step[]

function step(atMs: number, wish: FaultWish): Step {
  return { atMs: Math.max(0, atMs), do: 'fault', fault: parse(wish) }
}

/** The last answer reaches an agent that stands still, and is read by it long after it was asked for. Only the lease is left to it. */
const answerComesLate: Scene = (random, { victim: host, beganAtMs }) => [
  step(beganAtMs - 1_400, { kind: 'network-is-bad', lost: 0, doubled: 0, slow: 1, slowestMs: 450, forMs: 1_500 }),
  step(beganAtMs - random.whole(20, 250), { kind: 'agent-stands-still', host, forMs: random.whole(1_600, 2_900) }),
  step(beganAtMs, { kind: 'host-is-cut-off', host, withStorage: true, forMs: random.whole(6_000, 8_000) }),
]

/**
 * The others lose the storage when they are to write a pill, and have it back when the lease has run out. The host that is cut off from the
 * controller reads its slot without a gap and slowly, so it has its licence, and sees a pill late.
 */
const pillComesLate: Scene = (random, { victim, names, beganAtMs }) => {
  const atMs = beganAtMs + random.whole(1_200, 1_900)
  const forMs = beganAtMs + random.whole(4_000, 5_200) - atMs
  const kind = random.pick(['storage-hangs', 'storage-refuses'] as const)
  const delayMs = random.whole(200, 380)
  return [
    step(beganAtMs, { kind: 'way-is-cut', from: victim, to: 'controller', isOneWay: false, forMs: 9_000 }),
    step(beganAtMs - 500, { kind: 'storage-is-slow', storage: 'shared', host: victim, delayMs, forMs: 9_000 }),
    ...names.filter((name) => name !== victim).map((host) => step(atMs, { kind, storage: 'shared', host, forMs })),
  ]
}

/** The slot is read before the pill is written into it, and the answer comes when that has long become a proof. */
const slotIsReadSlowly: Scene = (random, { victim: host, beganAtMs }) => {
  const delayMs = random.whole(2_000, 4_000)
  const atMs = beganAtMs + random.whole(1_500, 1_950)
  return [
    step(beganAtMs, { kind: 'way-is-cut', from: host, to: 'controller', isOneWay: false, forMs: 9_000 }),
    step(atMs, { kind: 'storage-is-slow', storage: 'shared', host, delayMs, forMs: random.whole(3_000, 5_000) }),
  ]
}

/** Its agent ends, and the one that has taken its machines over stands still. */
const agentsFailInTurn: Scene = (random, { victim: host, beganAtMs }) => [
  step(beganAtMs - random.whole(800, 1_500), { kind: 'agent-crashes', host }),
  step(beganAtMs + random.whole(0, 1_500), {
    kind: 'agent-stands-still',
    host,
    forMs: random.whole(4_500, 5_800),
  }),
  step(beganAtMs, { kind: 'host-is-cut-off', host, withStorage: true, forMs: random.whole(3_800, 7_500) }),
]

/** It is heard again after its fencing has begun, and its storage is not back: what it is to let go of can't be killed. */
const returnWithoutStorage: Scene = (random, { victim: host, beganAtMs }) => [
  step(beganAtMs, { kind: 'way-is-cut', from: host, to: 'controller', forMs: random.whole(2_050, 2_900) }),
  step(beganAtMs + random.whole(1_000, 2_000), {
    kind: 'storage-hangs',
    storage: 'shared',
    host,
    forMs: random.whole(3_500, 6_000),
  }),
]

/** Agent and watchdog stand still one after the other, the second at the end of the lease: only the hardware is left. */
const silenceWithin: Scene = (random, { victim: host, beganAtMs }) => {
  const forMs = random.whole(2_500, 5_000)
  const lastPetAtMs = beganAtMs + defaultTimings.leaseMs - random.whole(0, 300)
  return [
    step(beganAtMs + random.whole(0, 400), { kind: 'agent-stands-still', host, forMs }),
    step(lastPetAtMs, { kind: 'watchdog-stands-still', host, forMs }),
    step(beganAtMs, { kind: 'host-is-cut-off', host, withStorage: true, forMs: random.whole(3_800, 7_500) }),
  ]
}

/** What a host said before it was reset arrives after its next boot has reported, and has machines again. */
const saidBeforeTheBoot: Scene = (random, { victim: host, beganAtMs }) => [
  step(beganAtMs - 900, { kind: 'network-is-bad', lost: 0, doubled: 1, slow: 0.6, slowestMs: 6_000, forMs: 950 }),
  step(beganAtMs - random.whole(0, 50), { kind: 'host-resets', host }),
]

export const scenes: readonly Scene[] = [
  silenceWithin,
  pillComesLate,
  answerComesLate,
  slotIsReadSlowly,
  agentsFailInTurn,
  returnWithoutStorage,
  saidBeforeTheBoot,
]
