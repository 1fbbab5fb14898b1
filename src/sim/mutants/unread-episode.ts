/**
 * One host loses a storage that the others read: it returns errors, and then hangs, so that a machine that is tried again has a write under
 * way. What hangs lands whenever the way is back. Pure: same seed, same episode.
 */
import type { EpisodePlan, Step } from '../episode/episode-plan.ts'
import { makeEpisode } from '../episode/make-episode.ts'
import { createSeededRandom } from '../seeded-random.ts'
import { parse, withSteps } from './with-steps.ts'

export function makeUnreadEpisode(seed: number): EpisodePlan {
  const random = createSeededRandom(seed, 'unread')
  const plan = makeEpisode({ seed, among: [] })
  const names = ['h1', 'h2', 'h3', 'h4']
  const [example] = plan.world.hosts
  const hosts = names.flatMap((name) => (example === undefined ? [] : [{ ...example, name, memoryMiB: 2_048 }]))
  const storages = plan.world.storages.map((storage) => ({ ...storage, stuckWrites: 'land-later' as const }))
  const machines = names.map((_host, index) => ({
    name: `vm-${index + 1}`,
    body: { template: 'tiny', memoryMiB: 128, ha: true, storage: 'shared', probe: null },
  }))
  const host = random.pick(names)
  const atMs = random.whole(1_000, 2_000)
  const refusesForMs = random.whole(600, 5_000)
  const on = { storage: 'shared', host }
  const steps: readonly Step[] = [
    { atMs, do: 'fault', fault: parse({ kind: 'storage-refuses', ...on, forMs: refusesForMs }) },
    {
      atMs: atMs + refusesForMs + 1,
      do: 'fault',
      fault: parse({ kind: 'storage-hangs', ...on, forMs: random.whole(6_000, 15_000) }),
    },
  ]
  return withSteps({ ...plan, world: { ...plan.world, hosts, storages }, machines, steps: [] }, steps)
}
