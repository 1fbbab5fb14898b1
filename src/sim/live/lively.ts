/** Has something happen: machines fail, hosts die and come back, machines move. Every failure ends by itself. */
import type { FaultWish } from '../faults/fault.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { World } from '../world/world.ts'

/** One thing at random: mostly a machine that fails, sometimes a host, or a machine that moves. */
export function doSomething(world: World, random: SeededRandom): void {
  switchOnAll(world)
  const running = [...world.state().vms.values()].filter(({ status }) => status?.state === 'running')
  if (running.length === 0) return
  const vm = random.pick(running).spec.name
  const host = random.pick([...world.parts.hosts.keys()])
  const faults: readonly FaultWish[] = [
    { kind: 'qemu-dies', vm },
    { kind: 'qemu-dies', vm },
    { kind: 'guest-panics', vm },
    { kind: 'guest-hangs', vm },
    { kind: 'agent-crashes', host },
  ]
  const dice = random.between(0, 100)
  if (dice < 55) return void world.inject(random.pick(faults))
  if (dice < 65 && areAllOnline(world)) return void world.inject({ kind: 'power-off', host, forMs: 30_000 })
  if (dice < 70 && areAllOnline(world)) return void world.inject({ kind: 'host-is-cut-off', host, forMs: 20_000 })
  void world.request({ call: 'migrateVm', params: { vm } })
}

/** Somebody goes and switches on what a power fence has switched off. */
export function switchOnAll(world: World): void {
  for (const host of world.parts.hosts.values()) host.powerOn()
}

function areAllOnline(world: World): boolean {
  return [...world.state().hosts.values()].every(({ status }) => status.state === 'online')
}
