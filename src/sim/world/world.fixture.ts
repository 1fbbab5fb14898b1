/** Worlds for tests: hosts that are up, and a machine that runs. */
import assert from 'node:assert/strict'
import type { WorldWish } from './configuration.ts'
import { createWorld, type WorkloadItem, type World } from './world.ts'
import { formatLine } from './world-log.ts'

export const threeHosts = [{ name: 'h1' }, { name: 'h2' }, { name: 'h3' }]

/** All hosts are online, and the leader may judge them. */
export async function startWorld(wish: Partial<WorldWish> = {}): Promise<World> {
  const world = await createWorld({ seed: 1, hosts: threeHosts, checksHeartbeats: true, ...wish })
  await world.until('all hosts are online', () => areOnline(world))
  await world.advance(4_000)
  return world
}

function areOnline({ parts, state }: World): boolean {
  if (parts.controller.engine() === undefined) return false
  return [...state().hosts.values()].every(({ status }) => status.state === 'online')
}

/** Asks, and waits for the answer, which must be a good one. */
export async function ask(world: World, item: WorkloadItem): Promise<void> {
  const outcome = await answered(world, item)
  assert.equal(outcome.kind, 'answered', JSON.stringify(outcome))
}

export async function answered(world: World, item: WorkloadItem) {
  let outcome: Awaited<ReturnType<World['request']>> | undefined
  void world.request(item).then((answer) => {
    outcome = answer
  })
  await world.until(`${item.call} is answered`, () => outcome !== undefined)
  assert.ok(outcome)
  return outcome
}

export async function createRunning(world: World, name: string, body: object = {}): Promise<string> {
  await ask(world, { call: 'createVm', body: { name, template: 'tiny', ha: true, probe: null, ...body } })
  await world.until(`${name} runs`, () => stateOf(world, name) === 'running')
  return hostOf(world, name)
}

export function stateOf(world: World, name: string): string | undefined {
  return world.vm(name)?.status?.state
}

/** The name of the host that it is placed on. */
export function hostOf(world: World, name: string): string {
  const hostId = world.vm(name)?.placement?.hostId
  return (hostId === undefined ? undefined : world.state().hosts.get(hostId)?.spec.name) ?? 'nowhere'
}

/** Its processes whose vCPUs run, by host. */
export function runsOn(world: World, name: string): readonly string[] {
  return [...world.parts.hosts.values()].flatMap((host) =>
    (host.boot()?.kernel.living() ?? [])
      .filter(({ definition, state }) => definition.name === name && state === 'running')
      .map(() => host.spec.name),
  )
}

export function timeline(world: World): string {
  return world.log.map(formatLine).join('\n')
}

/** Nothing that must never be has been seen. */
export function assertNoViolation(world: World): void {
  assert.deepEqual(world.violations, [], timeline(world))
}
