/**
 * The episodes in which bugs are looked for. By turns: any faults at all; faults that are aimed at one host around the moments with which the
 * protocol counts, where margins matter; many requests among faults of what carries them out. Pure: same number, same episode.
 */

import { defaultTimings } from '../../model/timings.ts'
import { drawFault, type Targets } from '../episode/draw-fault.ts'
import { drawRequest } from '../episode/draw-request.ts'
import type { EpisodePlan, Step } from '../episode/episode-plan.ts'
import { makeEpisode, makeQuietEpisode } from '../episode/make-episode.ts'
import { type Fault, type FaultKind, type FaultWish, faultSchema } from '../faults/fault.ts'
import { createSeededRandom, type SeededRandom } from '../seeded-random.ts'
import type { WorkloadItem } from '../world/world.ts'

/**
 * `calm`: nothing fails on any host, so nothing is to be restarted or fenced. `single`: one host is lost for long, and nothing else happens,
 * so what ran there is to run elsewhere long before it is back.
 */
export const huntKinds = ['faulty', 'calm', 'single'] as const
export type HuntKind = (typeof huntKinds)[number]

export function drawHunt(number: number, kind: HuntKind): EpisodePlan {
  const makers = { faulty, calm, single: [makeSingleLoss] }[kind]
  const make = makers[number % makers.length]
  let plan = makeQuietEpisode(number)
  // What large clusters add is time.
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    plan = (make ?? makeQuietEpisode)(number * attempts + attempt)
    if (plan.world.hosts.length <= mostHosts) return plan
  }
  return plan
}

const calm: readonly Make[] = [makeQuietEpisode, makeLeaderlessEpisode, makeMovingEpisode]
const faulty: readonly Make[] = [(seed) => makeEpisode({ seed }), makeAimedEpisode, makeBusyEpisode, makeAimedEpisode]
type Make = (seed: number) => EpisodePlan
const mostHosts = 4
const attempts = 32

function makeSingleLoss(seed: number): EpisodePlan {
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

/** The controller or the network is gone, for longer than any lease: machines on storages that answer go on. */
function makeLeaderlessEpisode(seed: number): EpisodePlan {
  const random = createSeededRandom(seed, 'leaderless')
  const plan = makeQuietEpisode(seed)
  const faults = Array.from({ length: random.whole(1, 3) }, (): FaultWish => {
    const forMs = random.whole(500, 12_000)
    return random.pick<FaultWish>([
      { kind: 'controller-is-gone', forMs },
      { kind: 'controller-stands-still', forMs },
      { kind: 'network-is-gone', withStorage: false, forMs },
      { kind: 'controller-crashes' },
    ])
  })
  const steps = faults.map((fault): Step => ({ atMs: random.whole(0, 20_000), do: 'fault', fault: parse(fault) }))
  return withSteps(plan, random.chance(0.4) ? comeBackOneByOne(random, plan) : steps)
}

/** Every machine moves once, if it can; a restart would be seen. */
function makeMovingEpisode(seed: number): EpisodePlan {
  const random = createSeededRandom(seed, 'moving')
  const plan = makeQuietEpisode(seed)
  const steps = plan.machines.map(({ name: vm }): Step => {
    return { atMs: random.whole(0, 15_000), do: 'request', item: { call: 'migrateVm', params: { vm }, body: {} } }
  })
  return withSteps(plan, steps)
}

/** The whole network is lost at once, and is back for one host after the other. */
function comeBackOneByOne(random: SeededRandom, { world }: EpisodePlan): readonly Step[] {
  const atMs = random.whole(4_500, 8_000)
  const leastMs = random.whole(2_500, 8_000)
  return world.hosts.map(({ name: host }) => {
    const forMs = leastMs + random.whole(0, 900)
    return { atMs, do: 'fault', fault: parse({ kind: 'host-is-cut-off', host, withStorage: false, forMs }) }
  })
}

/** When something of the protocol ends or begins, counted from the last sign of a host. */
const momentsMs = [0, 0, 800, 2_000, 2_800, 3_000, 3_400, 4_000]

function makeAimedEpisode(seed: number): EpisodePlan {
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
  const steps: readonly Step[] = [...plan.steps, { atMs: beganAtMs, do: 'fault', fault: parse(cut) }, ...others]
  return withSteps(plan, random.chance(0.3) ? [...steps, ...silenceWithin(random, victim, beganAtMs)] : steps)
}

/** Agent and watchdog stand still one after the other, the second at the end of the lease: only the hardware is left. */
function silenceWithin(random: SeededRandom, host: string, beganAtMs: number): readonly Step[] {
  const forMs = random.whole(2_000, 5_000)
  const lastPetAtMs = beganAtMs + defaultTimings.leaseMs - random.whole(0, 300)
  return [
    { atMs: beganAtMs + random.whole(0, 400), do: 'fault', fault: parse({ kind: 'agent-stands-still', host, forMs }) },
    { atMs: lastPetAtMs, do: 'fault', fault: parse({ kind: 'watchdog-stands-still', host, forMs }) },
  ]
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
      { kind: 'storage-is-slow', storage, host: victim, delayMs: random.whole(100, 1_200), forMs },
      { kind: 'fence-fails', host: victim, forMs: 6_000 },
      { kind: 'qemu-dies', vm },
      { kind: 'controller-crashes' },
      { kind: 'network-is-bad', lost: 0.05, doubled: 0.3, slow: 0.7, slowestMs: 450, forMs },
    ]),
  )
}

const faultsOfWork: readonly FaultKind[] = [
  'controller-crashes',
  'controller-is-gone',
  'controller-stands-still',
  'agent-crashes',
  'agent-stands-still',
  'way-is-cut',
  'network-is-bad',
  'storage-is-full',
  'storage-refuses',
  'storage-hangs',
  'orders-fail',
  'starts-fail',
  'qemu-dies',
]

function makeBusyEpisode(seed: number): EpisodePlan {
  const random = createSeededRandom(seed, 'busy')
  const plan = makeEpisode({ seed, among: [] })
  const targets = {
    hosts: plan.world.hosts.map(({ name }) => name),
    hostsWithFence: [],
    storages: plan.world.storages.map(({ name }) => name),
    vms: plan.machines.map(({ name }) => name),
  }
  const spanMs = random.whole(2_000, 12_000)
  const at = () => random.whole(0, spanMs)
  const goesBack = random.chance(0.25)
  const requests = Array.from({ length: random.whole(4, 12) }, (_one, number) => drawRequest(random, targets, number))
    .filter((item) => item !== undefined)
    // A state that went back knows nothing of machines that were made or deleted since.
    .filter(({ call }) => !goesBack || (call !== 'createVm' && call !== 'deleteVm'))
    .map((item): Step => ({ atMs: at(), do: 'request', item }))
  const faults = Array.from({ length: random.whole(1, 4) }, () => drawFault(random, targets, faultsOfWork))
    .filter((fault) => fault !== undefined)
    .map((fault): Step => ({ atMs: at(), do: 'fault', fault }))
  return withSteps(plan, [...requests, ...faults, ...(goesBack ? goBack(random, targets, spanMs) : [])])
}

/** Into the middle of a move, or to before a machine got its newest epoch. */
function goBack(random: SeededRandom, targets: Targets, spanMs: number): readonly Step[] {
  const atMs = spanMs + 1_000
  const [host, vm] = [random.pick(targets.hosts), random.pick(targets.vms)]
  const isMove = random.chance(0.5)
  // A move takes about half a second, and its agents go on with it also when nobody asks them.
  const sinceMs = isMove ? random.whole(20, 600) : random.whole(3_000, 6_000)
  const byMs = random.whole(sinceMs, sinceMs + (isMove ? 1_000 : 4_000))
  const before: Step = isMove
    ? { atMs: atMs - sinceMs, do: 'request', item: { call: 'migrateVm', params: { vm }, body: {} } }
    : { atMs: Math.max(0, atMs - sinceMs), do: 'fault', fault: { kind: 'host-resets', host } }
  return [before, { atMs, do: 'fault', fault: { kind: 'state-goes-back', byMs } }]
}

function withSteps(plan: EpisodePlan, steps: readonly Step[]): EpisodePlan {
  const ends = steps.map((step) => step.atMs + ('fault' in step && 'forMs' in step.fault ? (step.fault.forMs ?? 0) : 0))
  const faultsEndAtMs = Math.max(0, ...ends)
  const sorted = steps.toSorted((left, right) => left.atMs - right.atMs)
  return { ...plan, steps: sorted, faultsEndAtMs, lastsMs: Math.max(faultsEndAtMs, plan.lastsMs) }
}

function parse(fault: FaultWish): Fault {
  return faultSchema.parse(fault)
}
