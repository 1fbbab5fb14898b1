/** Episodes in which no host fails, and nothing is to be restarted or fenced. Pure: same seed, same episode. */
import type { EpisodePlan, Step } from '../episode/episode-plan.ts'
import { makeQuietEpisode } from '../episode/make-episode.ts'
import type { FaultWish } from '../faults/fault.ts'
import { createSeededRandom, type SeededRandom } from '../seeded-random.ts'
import { parse, withSteps } from './with-steps.ts'

/** The controller or the network is gone, for longer than any lease: machines on storages that answer go on. */
export function makeLeaderlessEpisode(seed: number): EpisodePlan {
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
export function makeMovingEpisode(seed: number): EpisodePlan {
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
