/** Draws one fault of a kind: its target among what the episode has, and its length. */
import { type Fault, type FaultKind, faultSchema } from '../faults/fault.ts'
import type { SeededRandom } from '../seeded-random.ts'

export type Targets = {
  readonly hosts: readonly string[]
  readonly hostsWithFence: readonly string[]
  readonly storages: readonly string[]
  readonly vms: readonly string[]
}

type Draw = (random: SeededRandom, targets: Targets) => Record<string, unknown> | undefined

const host = (random: SeededRandom, { hosts }: Targets) => random.pick(hosts)
const place = (random: SeededRandom, targets: Targets) => (random.chance(0.5) ? 'controller' : host(random, targets))

/** Mostly around the times that the protocol counts with, where its margins are; sometimes much longer. */
function lasting(random: SeededRandom): number {
  if (random.chance(0.15)) return random.whole(50, 600)
  return random.chance(0.75) ? random.whole(600, 9_000) : random.whole(9_000, 40_000)
}

const onHost: Draw = (random, targets) => ({ host: host(random, targets) })
const onHostForAWhile: Draw = (random, targets) => ({ host: host(random, targets), forMs: lasting(random) })
const onVm: Draw = (random, { vms }) => (vms.length === 0 ? undefined : { vm: random.pick(vms) })
const onVmForAWhile: Draw = (random, targets) => {
  const drawn = onVm(random, targets)
  return drawn === undefined ? undefined : { ...drawn, forMs: lasting(random) }
}
const onStorage: Draw = (random, targets) => ({
  storage: random.pick(targets.storages),
  forMs: lasting(random),
  ...(random.chance(0.6) ? { host: host(random, targets) } : {}),
})
const onFence: Draw = (random, { hostsWithFence }) =>
  hostsWithFence.length === 0 ? undefined : { host: random.pick(hostsWithFence), forMs: lasting(random) }
const forAWhile: Draw = (random) => ({ forMs: lasting(random) })

/** Every kind, and how often it is drawn beside the others. */
const kinds: Readonly<Record<FaultKind, { readonly weight: number; readonly draw: Draw }>> = {
  'power-off': { weight: 6, draw: onHostForAWhile },
  'host-resets': { weight: 3, draw: onHost },
  'host-stands-still': { weight: 5, draw: onHostForAWhile },
  'agent-crashes': { weight: 5, draw: onHost },
  'agent-stands-still': { weight: 6, draw: onHostForAWhile },
  'watchdog-crashes': { weight: 3, draw: onHost },
  'watchdog-stands-still': { weight: 3, draw: onHostForAWhile },
  'controller-crashes': { weight: 5, draw: () => ({}) },
  'controller-stands-still': { weight: 5, draw: forAWhile },
  'controller-is-gone': { weight: 3, draw: forAWhile },
  'state-goes-back': { weight: 1, draw: (random) => ({ byMs: random.whole(500, 20_000) }) },
  'way-is-cut': {
    weight: 6,
    draw(random, targets) {
      const [from, to] = [host(random, targets), place(random, targets)]
      if (from === to) return undefined
      const isTurned = random.chance(0.5)
      return {
        from: isTurned ? to : from,
        to: isTurned ? from : to,
        isOneWay: random.chance(0.5),
        forMs: lasting(random),
      }
    },
  },
  'host-is-cut-off': {
    weight: 8,
    draw: (random, targets) => ({
      host: host(random, targets),
      withStorage: random.chance(0.6),
      forMs: lasting(random),
    }),
  },
  'network-is-gone': { weight: 3, draw: (random) => ({ withStorage: random.chance(0.5), forMs: lasting(random) }) },
  'network-is-bad': {
    weight: 5,
    draw: (random) => ({
      lost: random.between(0, 0.3),
      doubled: random.between(0, 0.3),
      slow: random.between(0, 0.5),
      slowestMs: random.whole(50, 3_000),
      forMs: lasting(random),
    }),
  },
  'storage-hangs': { weight: 6, draw: onStorage },
  'storage-refuses': { weight: 3, draw: onStorage },
  'storage-is-slow': {
    weight: 3,
    draw: (random, targets) => ({ ...onStorage(random, targets), delayMs: random.whole(20, 1_500) }),
  },
  'storage-is-full': {
    weight: 2,
    draw: (random, { storages }) => ({ storage: random.pick(storages), forMs: lasting(random) }),
  },
  'slot-is-torn': {
    weight: 1,
    draw: (random, targets) => ({ storage: random.pick(targets.storages), host: host(random, targets) }),
  },
  'fence-lies': { weight: 2, draw: onFence },
  'fence-hangs': { weight: 2, draw: onFence },
  'fence-fails': { weight: 2, draw: onFence },
  'qemu-dies': { weight: 6, draw: onVm },
  'qemu-stands-still': { weight: 3, draw: onVmForAWhile },
  'guest-panics': { weight: 2, draw: onVm },
  'guest-hangs': { weight: 2, draw: onVm },
  'guest-ignores-shutdown': { weight: 2, draw: onVmForAWhile },
  'starts-fail': { weight: 2, draw: onHostForAWhile },
  'orders-fail': {
    weight: 3,
    draw: (random, targets) => ({
      host: host(random, targets),
      order: random.pick([
        'send',
        'receive',
        'prepare',
        'take-over',
        'resume',
        'capture',
        'write-stream',
        'bake',
        'merge-layers',
      ]),
      forMs: lasting(random),
    }),
  },
  'wall-clock-jumps': {
    weight: 2,
    draw: (random, targets) => ({ host: host(random, targets), byMs: random.whole(-3_600_000, 3_600_000) }),
  },
}

export const faultKinds: readonly FaultKind[] = faultSchema.options.map((option) => option.shape.kind.value)

/** Undefined when there is nothing that it could be done to. */
export function drawFault(random: SeededRandom, targets: Targets, among = faultKinds): Fault | undefined {
  const total = among.reduce((sum, kind) => sum + kinds[kind].weight, 0)
  let left = random.between(0, total)
  for (const kind of among) {
    left -= kinds[kind].weight
    if (left > 0) continue
    const drawn = kinds[kind].draw(random, targets)
    return drawn === undefined ? undefined : faultSchema.parse({ kind, ...drawn })
  }
  return undefined
}
