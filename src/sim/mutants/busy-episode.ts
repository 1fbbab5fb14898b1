/** Many requests among faults of what carries them out. Pure: same seed, same episode. */
import { drawFault, type Targets } from '../episode/draw-fault.ts'
import { drawRequest } from '../episode/draw-request.ts'
import type { EpisodePlan, Step } from '../episode/episode-plan.ts'
import { makeEpisode } from '../episode/make-episode.ts'
import type { FaultKind, FaultWish } from '../faults/fault.ts'
import { createSeededRandom, type SeededRandom } from '../seeded-random.ts'
import { parse, withSteps } from './with-steps.ts'

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

export function makeBusyEpisode(seed: number): EpisodePlan {
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
  const goesBack = random.chance(0.4)
  const requests = Array.from({ length: random.whole(4, 12) }, (_one, number) => drawRequest(random, targets, number))
    .filter((item) => item !== undefined)
    // A state that went back knows nothing of machines that were made or deleted since.
    .filter(({ call }) => !goesBack || (call !== 'createVm' && call !== 'deleteVm'))
    .map((item): Step => ({ atMs: at(), do: 'request', item }))
  const faults = Array.from({ length: random.whole(1, 4) }, () => drawFault(random, targets, faultsOfWork))
    .filter((fault) => fault !== undefined)
    .map((fault): Step => ({ atMs: at(), do: 'fault', fault }))
  const last = goesBack ? goBack(random, targets, spanMs) : random.chance(0.3) ? starve(random, targets) : []
  return withSteps(plan, [...requests, ...faults, ...last])
}

/** Into the middle of a move; to before a machine got its newest place, which is silent now; or to some terms ago. */
function goBack(random: SeededRandom, { hosts, vms }: Targets, spanMs: number): readonly Step[] {
  const back = (atMs: number, byMs: number): Step => ({
    atMs,
    do: 'fault',
    fault: parse({ kind: 'state-goes-back', byMs }),
  })
  const fault = (atMs: number, wish: FaultWish): Step => ({ atMs: Math.max(0, atMs), do: 'fault', fault: parse(wish) })
  const host = random.pick(hosts)
  const atMs = Math.max(8_000, spanMs + 1_000)
  const anyMs = random.whole(200, 1_500)
  const crash = () => fault(atMs - random.whole(500, 5_000), { kind: 'controller-crashes' })
  return random.pick<() => readonly Step[]>([
    () => {
      // A move takes about half a second, and its agents go on with it also when nobody asks them.
      const sinceMs = random.whole(20, 600)
      const item = { call: 'migrateVm', params: { vm: random.pick(vms) }, body: {} } as const
      return [{ atMs: atMs - sinceMs, do: 'request', item }, back(atMs, sinceMs + anyMs)]
    },
    () => [
      fault(atMs - 7_000, { kind: 'host-resets', host }),
      ...hosts
        .filter((other) => other !== host)
        .map((other) => fault(atMs - 100, { kind: 'way-is-cut', from: other, to: 'controller', forMs: 6_000 })),
      back(atMs, 7_000 + anyMs),
    ],
    () => [fault(atMs - 5_000, { kind: 'host-resets', host }), crash(), crash(), crash(), back(atMs, 6_000 + anyMs)],
  ])()
}

/** A storage refuses for longer than anybody tries at first, while machines are made and deleted on it. */
function starve(random: SeededRandom, { storages, vms }: Targets): readonly Step[] {
  const fault = parse({ kind: 'storage-refuses', storage: random.pick(storages), forMs: random.whole(17_000, 30_000) })
  const atMs = random.whole(500, 1_500)
  const body = { name: 'starved', template: 'tiny', ha: true }
  return [
    { atMs: 0, do: 'fault', fault },
    { atMs, do: 'request', item: { call: 'createVm', body } },
    { atMs, do: 'request', item: { call: 'deleteVm', params: { vm: random.pick(vms) }, query: { force: 'true' } } },
  ]
}
