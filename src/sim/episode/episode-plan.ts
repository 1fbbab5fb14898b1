/** An episode as data: a world, what its owners ask for, what happens to it, and when. Made from a seed; made smaller by shrinking. */
import type { Fault } from '../faults/fault.ts'
import type { WorldConfiguration } from '../world/configuration.ts'
import type { WorkloadItem } from '../world/world.ts'

export type Step =
  | { readonly atMs: number; readonly do: 'fault'; readonly fault: Fault }
  | { readonly atMs: number; readonly do: 'request'; readonly item: WorkloadItem }

export type EpisodePlan = {
  readonly world: WorldConfiguration
  /** In the order of their times, which count from when the cluster has settled with all its first machines. */
  readonly steps: readonly Step[]
  /** The machines that there are before anything happens. */
  readonly machines: readonly FirstMachine[]
  /** The faults are over by then, at the latest. */
  readonly faultsEndAtMs: number
  /** What would pass between the steps, in which a settled cluster only repeats itself, counts for this much. */
  readonly lastsMs: number
}

export type FirstMachine = { readonly name: string; readonly body: Readonly<Record<string, unknown>> }

/** The name of the VM's first host that a step points at: those are known only when the episode runs. */
export function describePlan({ world, machines, steps }: EpisodePlan): readonly string[] {
  const hosts = world.hosts.map(({ name, armed, powerFence, memoryMiB, clockRate }) =>
    [
      name,
      `${memoryMiB} MiB`,
      armed ? 'hard-armed' : 'not armed',
      ...(powerFence ? ['power fence'] : []),
      ...(clockRate === 1 ? [] : [`clock ${clockRate.toFixed(5)}`]),
    ].join(', '),
  )
  return [
    `seed ${world.seed}: ${hosts.length} hosts (${hosts.join('; ')})`,
    `storages: ${world.storages.map(({ name, stuckWrites }) => `${name} (stuck writes ${stuckWrites})`).join(', ')}`,
    `hosts come after ${world.hostsComeAfterMs} ms; timings: ${JSON.stringify(world.timings)}; network: ${JSON.stringify(world.network)}; reserve for ${world.hostFailuresToTolerate} hosts`,
    `machines: ${machines.map(({ name, body }) => `${name} ${JSON.stringify(body)}`).join('; ')}`,
    ...steps.map(describeStep),
  ]
}

export function describeStep(step: Step): string {
  const at = `${(step.atMs / 1000).toFixed(3).padStart(9)} s`
  if (step.do === 'fault') {
    const { kind, ...more } = step.fault
    return `${at}  fault ${kind} ${JSON.stringify(more)}`
  }
  const { call, ...more } = step.item
  return `${at}  ask ${call} ${JSON.stringify(more)}`
}
