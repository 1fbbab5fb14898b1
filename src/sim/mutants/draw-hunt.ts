/**
 * The episodes in which bugs are looked for, of small clusters. By turns: any faults at all, faults that are aimed, many requests. Pure: same
 * number, same episode.
 */
import type { EpisodePlan } from '../episode/episode-plan.ts'
import { makeEpisode, makeQuietEpisode } from '../episode/make-episode.ts'
import { makeAimedEpisode, makeSingleLoss } from './aimed-episode.ts'
import { makeBusyEpisode } from './busy-episode.ts'
import { makeLeaderlessEpisode, makeMovingEpisode } from './calm-episodes.ts'
import { makeRestoredEpisode } from './restored-episode.ts'
import { makeUnreadEpisode } from './unread-episode.ts'

/**
 * `calm`: nothing fails on any host, so nothing is to be restarted or fenced. `single`: one host is lost for long, and nothing else happens,
 * so what ran there is to run elsewhere long before it is back. `restored`: the state goes back over a move. `unread`: one host alone loses a
 * storage.
 */
export const huntKinds = ['faulty', 'calm', 'single', 'restored', 'unread'] as const
export type HuntKind = (typeof huntKinds)[number]

export function drawHunt(number: number, kind: HuntKind): EpisodePlan {
  // A restored state learns from claims, and a machine that is let go must not rest on any.
  if (kind === 'restored') return makeRestoredEpisode(number)
  if (kind === 'unread') return withoutClaims(makeUnreadEpisode(number))
  const makers = { faulty, calm, single: [makeSingleLoss] }[kind]
  const make = makers[number % makers.length]
  let plan = makeQuietEpisode(number)
  // What large clusters add is time.
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    plan = (make ?? makeQuietEpisode)(number * attempts + attempt)
    if (plan.world.hosts.length <= mostHosts) return number % 2 === 0 ? plan : withoutClaims(plan)
  }
  return plan
}

/** Claims would hide that something else is missing. */
function withoutClaims(plan: EpisodePlan): EpisodePlan {
  return { ...plan, world: { ...plan.world, hasClaims: false } }
}

const calm: readonly Make[] = [makeQuietEpisode, makeLeaderlessEpisode, makeMovingEpisode]
const faulty: readonly Make[] = [
  makeAimedEpisode,
  makeBusyEpisode,
  (seed) => makeEpisode({ seed }),
  makeAimedEpisode,
  makeBusyEpisode,
]
type Make = (seed: number) => EpisodePlan
const mostHosts = 4
const attempts = 32
