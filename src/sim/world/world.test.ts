import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  ask,
  assertNoViolation,
  createRunning,
  hostOf,
  runsOn,
  startWorld,
  stateOf,
  timeline,
} from './world.fixture.ts'

describe('a simulated world', () => {
  test('runs a machine from the request to the first write of its guest, and to its end', async () => {
    const world = await startWorld()
    const on = await createRunning(world, 'web')
    let landed = 0
    world.onSeen(({ kind }) => (landed += kind === 'write-landed' ? 1 : 0))
    await world.advance(2_000)
    assert.deepEqual(runsOn(world, 'web'), [on])
    assert.ok(landed > 3, `${landed} writes`)
    await ask(world, { call: 'stopVm', params: { vm: 'web' }, body: {} })
    await world.until('web has stopped', () => stateOf(world, 'web') === 'stopped')
    await ask(world, { call: 'deleteVm', params: { vm: 'web' }, query: {} })
    await world.until('web is gone', () => world.vm('web') === undefined)
    assert.deepEqual(runsOn(world, 'web'), [])
    assertNoViolation(world)
  })

  test('gives the same run for the same seed, to the last byte of its log, and another one for another seed', async () => {
    const run = async (seed: number) => {
      const world = await startWorld({ seed })
      const on = await createRunning(world, 'web')
      world.inject({ kind: 'network-is-bad', lost: 0.05, doubled: 0.05, slow: 0.2, forMs: 8_000 })
      world.inject({ kind: 'host-is-cut-off', host: on, forMs: 9_000 })
      await world.advance(20_000)
      return timeline(world)
    }
    const [first, again, other] = [await run(3), await run(3), await run(4)]
    assert.equal(again, first)
    assert.notEqual(other, first)
  })

  test('moves a machine while it runs, and only one of its two processes ever writes', async () => {
    const world = await startWorld()
    const from = await createRunning(world, 'web')
    await ask(world, { call: 'migrateVm', params: { vm: 'web' }, body: {} })
    await world.until('web has moved', () => hostOf(world, 'web') !== from && world.vm('web')?.migration === undefined)
    await world.advance(3_000)
    assert.deepEqual(runsOn(world, 'web'), [hostOf(world, 'web')])
    assertNoViolation(world)
  })

  test('moves a machine of a dead host, on a proof, and the host is admitted again when it is back', async () => {
    const world = await startWorld()
    const from = await createRunning(world, 'web')
    world.inject({ kind: 'power-off', host: from, forMs: 15_000 })
    await world.until('web runs elsewhere', () => hostOf(world, 'web') !== from && stateOf(world, 'web') === 'running')
    assert.equal(world.vm('web')?.placement?.proof?.kind, 'lease')
    await world.until('the host is back', () =>
      [...world.state().hosts.values()].every(({ status }) => status.state === 'online'),
    )
    assertNoViolation(world)
  })

  test('has a controller that is killed and goes on with what it had begun', async () => {
    const world = await startWorld()
    void world.request({ call: 'createVm', body: { name: 'web', template: 'tiny', ha: true } })
    await world.advance(2)
    world.inject({ kind: 'controller-crashes' })
    await world.until(
      'web runs',
      () => world.parts.controller.engine() !== undefined && stateOf(world, 'web') === 'running',
    )
    assertNoViolation(world)
  })
})
