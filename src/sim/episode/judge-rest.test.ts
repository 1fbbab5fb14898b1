/** What is not as it should be at rest is found: each is planted in a world in which all else is well. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endFakeMachine } from '../../agent/hypervisor/fake/fake-world.ts'
import { ask, createRunning, startWorld } from '../world/world.fixture.ts'
import type { World } from '../world/world.ts'
import { judgeRest } from './judge-rest.ts'
import { passTime } from './pass-time.ts'

const judge = async (world: World, withinMs = 400) => {
  const found: string[] = []
  await judgeRest(world, { withinMs, note: (checker, message) => found.push(`${checker}: ${message}`) })
  return found
}

test('nothing is found in a world in which all is well', async () => {
  const world = await startWorld()
  await createRunning(world, 'web')
  assert.deepEqual(await judge(world, 10_000), [])
})

test('what-should-run-runs: a host whose agent stands still', async () => {
  const world = await startWorld()
  world.inject({ kind: 'agent-stands-still', host: 'h1' })
  await world.advance(1_500)
  assert.match((await judge(world)).join(), /what-should-run-runs: h1 is suspect/)
})

test('placement-matches-reality: a machine that is said to run, and whose process is gone without a word', async () => {
  const world = await startWorld()
  const on = await createRunning(world, 'web')
  world.inject({ kind: 'agent-stands-still', host: on })
  world.inject({ kind: 'qemu-dies', vm: 'web' })
  assert.match((await judge(world)).join(), /what-should-run-runs: web is to be running, .* and is nowhere/)
})

test('placement-matches-reality: a second process of a machine', async () => {
  const world = await startWorld()
  const on = await createRunning(world, 'web')
  const [original] = world.parts.machinesOf('web')
  const other = world.parts.host(on === 'h1' ? 'h2' : 'h1').boot()
  assert.ok(original !== undefined && other !== undefined)
  const { machine } = original
  other.kernel.processes.put({ ...machine, observers: new Set(), state: 'paused' })
  assert.match((await judge(world)).join(), /placement-matches-reality: web .* running on .* and paused on/)
  endFakeMachine(machine, { reason: 'killed', detail: '' })
})

test('tasks-end: a task whose storage hangs', async () => {
  const world = await startWorld()
  world.inject({ kind: 'storage-hangs', storage: 'shared' })
  void world.request({ call: 'createVm', body: { name: 'web', template: 'tiny' } })
  await world.advance(100)
  assert.match((await judge(world)).join(), /tasks-end: task-\w+ \(vm\.create of web\) has not ended/)
})

test('plan-converges: a wish that nobody carries out', async () => {
  const world = await startWorld()
  const on = await createRunning(world, 'web', { probe: undefined })
  world.inject({ kind: 'agent-stands-still', host: on })
  await ask(world, { call: 'changeVm', params: { vm: 'web' }, body: { recovery: { mode: 'warm' } } })
  assert.match((await judge(world, 100)).join(), /plan-converges: web: configure is still to be done/)
})

test('time of a cluster at rest is passed over, and that of one in which something happens is not', async () => {
  const world = await startWorld()
  await createRunning(world, 'web')
  const calmAtMs = world.nowMs()
  assert.ok((await passTime(world, 60_000)) > 50_000)
  assert.ok(world.nowMs() - calmAtMs < 10_000)
  world.inject({ kind: 'qemu-dies', vm: 'web' })
  assert.equal(await passTime(world, 500), 0)
})
