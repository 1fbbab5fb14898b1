/** A machine moves with its own disks, and the state goes back to before that, or into the middle of it. Pure: same seed, same episode. */
import type { EpisodePlan, Step } from '../episode/episode-plan.ts'
import { makeEpisode } from '../episode/make-episode.ts'
import { createSeededRandom } from '../seeded-random.ts'
import { parse, withSteps } from './with-steps.ts'

/** By then it has moved, or will not. It moves once hosts have told what room they have, which they look at every three seconds. */
const moveTakesMs = 900

export function makeRestoredEpisode(seed: number): EpisodePlan {
  const random = createSeededRandom(seed, 'restored')
  const plan = makeEpisode({ seed, among: [] })
  const hosts = plan.world.hosts.slice(0, random.whole(2, 3)).map((host) => ({ ...host, memoryMiB: 2_048 }))
  const body = { template: 'tiny', memoryMiB: 128, ha: false, storage: 'local', probe: null }
  const movesAtMs = random.whole(4_000, 6_000)
  const backAtMs = movesAtMs + random.whole(150, 3_000)
  const toMs = random.chance(0.5) ? movesAtMs - random.whole(50, 500) : movesAtMs + random.whole(20, 700)
  const endsAtMs = Math.max(movesAtMs + moveTakesMs, backAtMs + random.whole(-600, 300))
  const reset = parse({ kind: 'host-resets', host: random.pick(hosts).name })
  const vm = 'vm-1'
  const end = random.pick<readonly Step[]>([
    [],
    [{ atMs: endsAtMs, do: 'fault', fault: reset }],
    [{ atMs: endsAtMs, do: 'fault', fault: reset }],
    [{ atMs: endsAtMs, do: 'request', item: { call: 'stopVm', params: { vm }, body: { timeoutSeconds: 5 } } }],
  ])
  const back = parse({ kind: 'state-goes-back', byMs: Math.max(50, backAtMs - toMs) })
  return withSteps({ ...plan, world: { ...plan.world, hosts }, machines: [{ name: vm, body }], steps: [] }, [
    { atMs: movesAtMs, do: 'request', item: { call: 'migrateVm', params: { vm }, body: {} } },
    { atMs: backAtMs, do: 'fault', fault: back },
    ...end,
  ])
}
