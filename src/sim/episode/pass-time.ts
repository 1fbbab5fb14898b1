/**
 * Lets time pass in an episode, but not all of it: a cluster that has come to rest only repeats itself, beat after beat, until something is
 * done to it. Whatever comes next then comes at once. That is a run that could have been, with the same steps closer together; what takes
 * longer than the wait for rest to develop out of nothing is not seen (docs/decisions/0026).
 */
import type { Engine } from '../../engine/engine.ts'
import type { HostRecord } from '../../model/cluster-state.ts'
import { newLeaderWaitsMs } from '../../model/protection/bounds.ts'
import type { World } from '../world/world.ts'

/** Gives how much of it was skipped. */
export async function passTime(world: World, waitMs: number): Promise<number> {
  const beganAtMs = world.nowMs()
  const endsAtMs = beganAtMs + Math.max(0, waitMs)
  while (world.nowMs() < endsAtMs) {
    // What was done to it just now, such as a fault, has shown nothing of itself yet.
    const restsInMs = Math.max(world.lastChangeAtMs(), beganAtMs) + calmMs(world) - world.nowMs()
    if (restsInMs <= 0) return endsAtMs - world.nowMs()
    await world.advance(Math.min(restsInMs, endsAtMs - world.nowMs()))
  }
  return 0
}

/** Nothing comes of a healthy cluster by itself. */
const healthyCalmMs = 1_200
/** Longer than the longest silence of the protocol: an agent that stands still is ended after 6 s; a lease, a watchdog and a pill are shorter. */
const brokenCalmMs = 6_500

/** How long nothing may have been stored, and no guest begun or ceased to run, for it to be at rest. */
function calmMs(world: World): number {
  const engine = world.parts.controller.engine()
  if (engine === undefined) return brokenCalmMs
  const state = world.state()
  const isHealthy =
    [...state.hosts.values()].every((host) => isAtWork(world, engine, host) || isGone(world, host)) &&
    [...state.tasks.values()].every(({ endedAt }) => endedAt !== null) &&
    [...state.vms.values()].every(({ spec, status }) => (status?.state ?? 'stopped') === spec.desired)
  return isHealthy ? healthyCalmMs : brokenCalmMs
}

/** A new leader judges no host yet, and what is silent shows only later: until then each has to be heard. */
function isAtWork({ parts }: World, engine: Engine, { spec, status }: HostRecord): boolean {
  const isRunning = parts.host(spec.name).boot()?.agent()?.life.state() === 'running'
  if (status.state !== 'online' || !isRunning) return false
  if (!isStillWaiting(engine)) return true
  return engine.hasReported(spec.id) && engine.observation(spec.id).silentMs < healthyCalmMs / 2
}

/** It is proven dead and has no power: nothing comes of it before somebody switches it on. */
function isGone({ parts }: World, { spec, status }: HostRecord): boolean {
  return status.state === 'fenced' && parts.host(spec.name).isOff()
}

function isStillWaiting({ leader }: Engine): boolean {
  const { timings } = leader.index.state().cluster
  return leader.clock.bootTimeMs() - leader.startedAtMs < newLeaderWaitsMs(timings) + timings.suspectAfterMs
}
