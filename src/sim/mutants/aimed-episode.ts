/** Faults that are aimed at one host around the moments with which the protocol counts, where margins matter. Pure: same seed, same episode. */

import { defaultTimings } from '../../model/timings.ts'
import type { EpisodePlan, Step } from '../episode/episode-plan.ts'
import { makeEpisode } from '../episode/make-episode.ts'
import type { Fault, FaultWish } from '../faults/fault.ts'
import { createSeededRandom, type SeededRandom } from '../seeded-random.ts'
import type { WorkloadItem } from '../world/world.ts'
import { parse, withSteps } from './with-steps.ts'

/** When something of the protocol ends or begins, counted from the last sign of a host. */
const momentsMs = [0, 0, 800, 2_000, 2_800, 3_000, 3_400, 4_000]

export function makeAimedEpisode(seed: number): EpisodePlan {
  const random = createSeededRandom(seed, 'aimed')
  const plan = forAim(makeEpisode({ seed, among: [] }), random)
  const names = plan.world.hosts.map(({ name }) => name)
  const victim = random.pick(names)
  const beganAtMs = random.whole(500, 2_000)
  const cutForMs = random.whole(3_800, 7_500)
  const cut = random.pick<FaultWish>([
    { kind: 'host-is-cut-off', host: victim, withStorage: true, forMs: cutForMs },
    { kind: 'host-is-cut-off', host: victim, withStorage: true, forMs: cutForMs },
    { kind: 'host-is-cut-off', host: victim, withStorage: true, forMs: cutForMs },
    { kind: 'host-is-cut-off', host: victim, withStorage: false, forMs: cutForMs },
    { kind: 'way-is-cut', from: victim, to: 'controller', isOneWay: random.chance(0.5), forMs: cutForMs },
    { kind: 'way-is-cut', from: 'controller', to: victim, isOneWay: random.chance(0.5), forMs: cutForMs },
    { kind: 'agent-stands-still', host: victim, forMs: cutForMs },
    { kind: 'host-stands-still', host: victim, forMs: cutForMs },
  ])
  const others = Array.from({ length: random.whole(0, 3) }, (): Step => {
    const atMs = Math.max(0, beganAtMs + random.pick(momentsMs) + random.whole(-300, 300))
    return { atMs, do: 'fault', fault: aimAt(random, { victim, plan, names }) }
  })
  const conspire = random.pick([() => [], () => [], ...conspiracies])
  const cuts = random.chance(0.15)
    ? returnWithoutStorage(random, { victim, names, beganAtMs })
    : [{ atMs: beganAtMs, do: 'fault', fault: parse(cut) } as const, ...conspire(random, { victim, names, beganAtMs })]
  return withSteps(plan, [...plan.steps, ...others, ...cuts])
}

/** The last answer reaches an agent that stands still, and is read by it long after it was asked for. */
function answerComesLate(random: SeededRandom, { victim: host, beganAtMs }: Aim): readonly Step[] {
  const bad = parse({ kind: 'network-is-bad', lost: 0, doubled: 0, slow: 1, slowestMs: 450, forMs: 1_500 })
  const stall = parse({ kind: 'agent-stands-still', host, forMs: random.whole(1_500, 3_000) })
  return [
    { atMs: Math.max(0, beganAtMs - 1_400), do: 'fault', fault: bad },
    { atMs: Math.max(0, beganAtMs - random.whole(20, 250)), do: 'fault', fault: stall },
  ]
}

/** The others lose the storage when they are to write a pill, and have it back when the lease has run out. */
function storageLostAround(random: SeededRandom, { victim, names, beganAtMs }: Aim): readonly Step[] {
  const atMs = beganAtMs + random.whole(1_200, 1_900)
  const forMs = random.whole(2_400, 4_000)
  const kind = random.pick(['storage-hangs', 'storage-refuses'] as const)
  const slow = { kind: 'storage-is-slow', storage: 'shared', host: victim, delayMs: random.whole(100, 380) } as const
  return [
    ...names
      .filter((name) => name !== victim)
      .map((host): Step => ({ atMs, do: 'fault', fault: parse({ kind, storage: 'shared', host, forMs }) })),
    // It has its licence without a gap, and sees the pill late.
    { atMs: beganAtMs, do: 'fault', fault: parse({ ...slow, forMs: 7_000 }) },
  ]
}

/** The slot is read before the pill is written into it, and the answer comes when that has long become a proof. */
function slotIsReadSlowly(random: SeededRandom, { victim: host, beganAtMs }: Aim): readonly Step[] {
  const slow = { kind: 'storage-is-slow', storage: 'shared', host, delayMs: random.whole(2_000, 4_000) } as const
  const atMs = beganAtMs + random.whole(1_200, 1_900)
  return [{ atMs, do: 'fault', fault: parse({ ...slow, forMs: random.whole(3_000, 5_000) }) }]
}

/** Its agent ends, and the one that has taken its machines over stands still. */
function agentsFailInTurn(random: SeededRandom, { victim: host, beganAtMs }: Aim): readonly Step[] {
  const stall = parse({ kind: 'agent-stands-still', host, forMs: random.whole(4_500, 5_800) })
  return [
    {
      atMs: Math.max(0, beganAtMs - random.whole(800, 1_500)),
      do: 'fault',
      fault: parse({ kind: 'agent-crashes', host }),
    },
    { atMs: beganAtMs + random.whole(0, 1_500), do: 'fault', fault: stall },
  ]
}

/** It is heard again after its fencing has begun, and its storage is not back: what it is to let go of can't be killed. */
function returnWithoutStorage(random: SeededRandom, { victim: host, beganAtMs }: Aim): readonly Step[] {
  const cut = parse({ kind: 'way-is-cut', from: host, to: 'controller', forMs: random.whole(2_050, 2_900) })
  const hang = parse({ kind: 'storage-hangs', storage: 'shared', host, forMs: random.whole(3_500, 6_000) })
  return [
    { atMs: beganAtMs, do: 'fault', fault: cut },
    { atMs: beganAtMs + random.whole(1_000, 2_000), do: 'fault', fault: hang },
  ]
}

type Aim = { readonly victim: string; readonly names: readonly string[]; readonly beganAtMs: number }

/** Agent and watchdog stand still one after the other, the second at the end of the lease: only the hardware is left. */
function silenceWithin(random: SeededRandom, { victim: host, beganAtMs }: Aim): readonly Step[] {
  const forMs = random.whole(2_000, 5_000)
  const lastPetAtMs = beganAtMs + defaultTimings.leaseMs - random.whole(0, 300)
  return [
    { atMs: beganAtMs + random.whole(0, 400), do: 'fault', fault: parse({ kind: 'agent-stands-still', host, forMs }) },
    { atMs: lastPetAtMs, do: 'fault', fault: parse({ kind: 'watchdog-stands-still', host, forMs }) },
  ]
}

const conspiracies = [silenceWithin, storageLostAround, answerComesLate, slotIsReadSlowly, agentsFailInTurn]

/**
 * Machines with HA, as many as hosts and one more: whoever is hit has something to lose, and somebody has room for it. A power fence is
 * quicker than all margins, and what owners ask for meanwhile mostly ends what was aimed at: most episodes have neither.
 */
function forAim(plan: EpisodePlan, random: SeededRandom): EpisodePlan {
  const body = { template: 'tiny', memoryMiB: 128, ha: true, storage: 'shared' }
  const machines = Array.from({ length: plan.world.hosts.length + 1 }, (_one, index) => ({
    name: `vm-${index + 1}`,
    body: { ...body, ...(index % 2 === 0 ? { probe: null } : {}) },
  }))
  const isFenced = random.chance(0.2)
  const hosts = plan.world.hosts.map((host) => ({ ...host, powerFence: isFenced && host.powerFence }))
  const names = machines.map(({ name }) => name)
  const isAbout = ({ params }: WorkloadItem) => params?.['vm'] === undefined || names.includes(params['vm'])
  const steps = random.chance(0.3) ? plan.steps.filter((step) => step.do !== 'request' || isAbout(step.item)) : []
  return { ...plan, world: { ...plan.world, hosts }, machines, steps }
}

function aimAt(
  random: SeededRandom,
  { victim, plan, names }: { readonly victim: string; readonly plan: EpisodePlan; readonly names: readonly string[] },
): Fault {
  const forMs = random.whole(200, 4_000)
  const storage = random.pick(plan.world.storages).name
  const vm = random.pick(plan.machines).name
  const other = random.pick(names)
  return parse(
    random.pick<FaultWish>([
      { kind: 'agent-stands-still', host: victim, forMs },
      { kind: 'agent-stands-still', host: victim, forMs },
      { kind: 'agent-crashes', host: victim },
      { kind: 'watchdog-stands-still', host: victim, forMs },
      { kind: 'watchdog-crashes', host: victim },
      { kind: 'host-stands-still', host: victim, forMs },
      { kind: 'host-resets', host: victim },
      { kind: 'storage-hangs', storage, host: victim, forMs },
      { kind: 'storage-hangs', storage, host: other, forMs },
      { kind: 'storage-refuses', storage, host: other, forMs },
      { kind: 'storage-is-slow', storage, host: victim, delayMs: random.whole(100, 5_000), forMs },
      { kind: 'fence-fails', host: victim, forMs: 6_000 },
      { kind: 'qemu-dies', vm },
      { kind: 'controller-crashes' },
      { kind: 'network-is-bad', lost: 0.05, doubled: 0.3, slow: 0.7, slowestMs: 450, forMs },
    ]),
  )
}

export function makeSingleLoss(seed: number): EpisodePlan {
  const random = createSeededRandom(seed, 'single')
  const plan = forAim(makeEpisode({ seed, among: [] }), random)
  const hosts = plan.world.hosts.map((host) => ({ ...host, armed: true }))
  const { name: host } = random.pick(hosts)
  const forMs = singleLossMs
  const loss = random.pick<FaultWish>([
    { kind: 'power-off', host, forMs },
    { kind: 'host-is-cut-off', host, withStorage: random.chance(0.5), forMs },
    { kind: 'host-stands-still', host, forMs },
  ])
  const steps: readonly Step[] = [{ atMs: random.whole(4_000, 6_000), do: 'fault', fault: parse(loss) }]
  return withSteps({ ...plan, world: { ...plan.world, hosts } }, steps)
}

/** How long the one host is lost. */
const singleLossMs = 30_000
