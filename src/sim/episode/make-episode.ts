/** A seed becomes an episode: the cluster, its machines, what is asked for, and one to six faults. Pure: same seed, same plan. */

import { newLeaderWaitsMs } from '../../model/protection/bounds.ts'
import { defaultTimings } from '../../model/timings.ts'
import type { FaultKind } from '../faults/fault.ts'
import { createSeededRandom, type SeededRandom } from '../seeded-random.ts'
import { worldConfigurationSchema } from '../world/configuration.ts'
import { drawFault, faultKinds, type Targets } from './draw-fault.ts'
import { drawRequest } from './draw-request.ts'
import type { EpisodePlan, FirstMachine, Step } from './episode-plan.ts'

export type EpisodeWish = {
  readonly seed: number
  /** Only these; all of them unless told. */
  readonly among?: readonly FaultKind[] | undefined
}

export function makeEpisode({ seed, among = faultKinds }: EpisodeWish): EpisodePlan {
  const random = createSeededRandom(seed, 'episode')
  const world = drawWorld(seed, random.fork('world'))
  const machines = drawMachines(random.fork('machines'), world.hosts.length)
  const targets: Targets = {
    hosts: world.hosts.map(({ name }) => name),
    hostsWithFence: world.hosts.filter(({ powerFence }) => powerFence).map(({ name }) => name),
    storages: world.storages.map(({ name }) => name),
    vms: machines.map(({ name }) => name),
  }
  const steps = drawSteps(random.fork('steps'), targets, among)
  const ends = steps.map(
    ({ atMs, ...step }) => atMs + ('fault' in step && 'forMs' in step.fault ? (step.fault.forMs ?? 0) : 0),
  )
  const faultsEndAtMs = Math.max(0, ...ends)
  return { world, machines, steps, faultsEndAtMs, lastsMs: Math.max(faultsEndAtMs, random.whole(60_000, 300_000)) }
}

const longestQuietPauseMs = defaultTimings.leaseMs / 2

/**
 * A cluster in which nothing breaks: one message in a hundred is lost, and its processes stand still for up to half a lease. Whatever is
 * fenced or restarted in it is a false alarm.
 */
export function makeQuietEpisode(seed: number): EpisodePlan {
  const random = createSeededRandom(seed, 'quiet')
  const drawn = drawWorld(seed, random.fork('world'))
  const world = { ...drawn, network: { lost: 0.01, doubled: 0.01, slow: 0.05 } }
  const machines = drawMachines(random.fork('machines'), world.hosts.length).map(({ name, body }) => ({
    name,
    body: { ...body, memoryMiB: 128 },
  }))
  const steps: Step[] = []
  let atMs = 0
  for (let pause = random.whole(2, 8); pause > 0; pause -= 1) {
    // One after the other: two that meet are one that is longer.
    atMs += random.whole(defaultTimings.leaseMs, 2 * defaultTimings.leaseMs)
    const forMs = random.whole(50, longestQuietPauseMs)
    const { name: host } = random.pick(world.hosts)
    const fault = random.chance(0.3)
      ? ({ kind: 'controller-stands-still', forMs } as const)
      : ({ kind: 'agent-stands-still', host, forMs } as const)
    steps.push({ atMs, do: 'fault', fault })
    atMs += forMs
  }
  return { world, machines, steps, faultsEndAtMs: atMs, lastsMs: random.whole(60_000, 300_000) }
}

function drawWorld(seed: number, random: SeededRandom): EpisodePlan['world'] {
  // Small clusters are where most goes wrong, and cheap.
  const count = random.chance(0.7) ? random.whole(2, 4) : random.whole(5, random.chance(0.3) ? 16 : 8)
  const isFenced = random.chance(0.4)
  const isArmed = random.chance(0.85)
  const storages = random.chance(0.25) ? ['shared', 'second'] : ['shared']
  const isBadNetwork = random.chance(0.25)
  const isLeaderSeasoned = random.fork('leader').chance(0.75)
  return worldConfigurationSchema.parse({
    seed,
    hostsComeAfterMs: isLeaderSeasoned ? newLeaderWaitsMs(defaultTimings) : 0,
    hosts: Array.from({ length: count }, (_one, index) => ({
      name: `h${index + 1}`,
      memoryMiB: random.pick([1024, 2048, 4096]),
      armed: isArmed || random.chance(0.5),
      powerFence: isFenced && random.chance(0.9),
      clockRate: random.chance(0.3) ? 1 + random.between(-0.0005, 0.0005) : 1,
    })),
    storages: storages.map((name) => ({ name, stuckWrites: random.pick(['hold-their-process', 'go-with-it']) })),
    hostFailuresToTolerate: random.chance(0.2) && count > 2 ? 1 : 0,
    network: isBadNetwork
      ? { lost: random.between(0, 0.02), doubled: random.between(0, 0.02), slow: random.between(0, 0.05) }
      : undefined,
  })
}

function drawMachines(random: SeededRandom, hosts: number): readonly FirstMachine[] {
  const count = random.whole(1, Math.min(10, hosts * 2))
  return Array.from({ length: count }, (_one, index) => {
    const storage = random.chance(0.85) ? { storage: 'shared' } : { storage: 'local' }
    return {
      name: `vm-${index + 1}`,
      body: {
        template: 'tiny',
        memoryMiB: random.pick([128, 256, 512]),
        ha: storage.storage === 'shared' && random.chance(0.85),
        ...storage,
        ...drawRecovery(random),
      },
    }
  })
}

function drawRecovery(random: SeededRandom): Record<string, unknown> {
  if (random.chance(0.8)) return random.chance(0.5) ? { probe: null } : {}
  if (random.chance(0.4)) return { recovery: { mode: 'checkpoint', everySeconds: random.pick([10, 60]) } }
  return { recovery: { mode: 'warm' }, ...(random.chance(0.5) ? { disks: [{ sizeMiB: 64 }] } : {}) }
}

function drawSteps(random: SeededRandom, targets: Targets, among: readonly FaultKind[]): readonly Step[] {
  const count = random.whole(1, 6)
  // What comes one after the other is cured one by one; what comes together is where the trouble is.
  const spanMs = random.chance(0.7) ? random.whole(1_000, 12_000) : random.whole(12_000, 90_000)
  const faults = Array.from({ length: count }, () => drawFault(random, targets, among)).filter(
    (fault) => fault !== undefined,
  )
  const requests = Array.from({ length: random.whole(0, 5) }, (_one, number) =>
    drawRequest(random, targets, number),
  ).filter((item) => item !== undefined)
  const steps: Step[] = [
    ...faults.map((fault) => ({ atMs: random.whole(0, spanMs), do: 'fault', fault }) as const),
    ...requests.map((item) => ({ atMs: random.whole(0, spanMs), do: 'request', item }) as const),
  ]
  return boundedByKnowledge(steps.sort((left, right) => left.atMs - right.atMs))
}

/** A state that went back knows nothing of machines that were made or deleted since: what becomes of those is for a person to say. */
function boundedByKnowledge(steps: readonly Step[]): readonly Step[] {
  if (!steps.some((step) => step.do === 'fault' && step.fault.kind === 'state-goes-back')) return steps
  return steps.flatMap((step): Step | readonly Step[] => {
    if (step.do === 'request') return step.item.call === 'createVm' || step.item.call === 'deleteVm' ? [] : step
    return step
  })
}
