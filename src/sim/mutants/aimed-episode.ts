/** Faults that are aimed at one host around the moments with which the protocol counts, where margins matter. Pure: same seed, same episode. */
import type { EpisodePlan, Step } from '../episode/episode-plan.ts'
import { makeEpisode } from '../episode/make-episode.ts'
import type { Fault, FaultWish } from '../faults/fault.ts'
import { createSeededRandom, type SeededRandom } from '../seeded-random.ts'
import type { WorkloadItem } from '../world/world.ts'
import { scenes } from './scenes.ts'
import { parse, withSteps } from './with-steps.ts'

/** When something of the protocol ends or begins, counted from the last sign of a host. */
const momentsMs = [0, 0, 800, 2_000, 2_800, 3_000, 3_400, 4_000]

export function makeAimedEpisode(seed: number): EpisodePlan {
  const random = createSeededRandom(seed, 'aimed')
  const plan = forAim(makeEpisode({ seed, among: [] }), random)
  const names = plan.world.hosts.map(({ name }) => name)
  const victim = random.pick(names)
  const beganAtMs = random.whole(1_500, 3_000)
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
  const cuts: readonly Step[] = [{ atMs: beganAtMs, do: 'fault', fault: parse(cut) }]
  if (random.chance(0.5)) return withSteps(plan, [...plan.steps, ...others, ...cuts])
  // What comes beside it would mostly spoil it.
  const beside = random.chance(0.25) ? others : []
  return withSteps(plan, [...beside, ...random.pick(scenes)(random, { victim, names, beganAtMs })])
}

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
