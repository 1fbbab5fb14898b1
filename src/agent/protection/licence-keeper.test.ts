import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sharedId, storageIdOf, vmIdOf } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { StorageId } from '../../model/ids.ts'
import { defaultTimings as timings } from '../../model/timings.ts'
import type { WatchdogState } from '../watchdog/watchdog-message.ts'
import { clearedSlotsInMemory } from './cleared-slots.fixture.ts'
import { createLicenceKeeper } from './licence-keeper.ts'

const webId = vmIdOf('web')
const entry = { storageIds: [sharedId], isFrozen: false, cgroupDirectory: '/cgroup/web' }

function open(cleared = new Set<StorageId>()) {
  const told: Omit<WatchdogState, 'sequence'>[] = []
  const link = { isSilent: false }
  const keeper = createLicenceKeeper({
    link: {
      armed: () => 'hard',
      async tell(state) {
        if (link.isSilent) throw new DialtoneError('deadline-exceeded', 'the watchdog process did not answer')
        told.push(state)
      },
      [Symbol.asyncDispose]: async () => undefined,
    },
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    timings,
    clearedSlots: clearedSlotsInMemory(cleared),
    earlierClearedByMs: 1_000,
  })
  return { keeper, told, link, isLicensed: (nowMs: number) => keeper.isLicensed([sharedId], nowMs) }
}

describe('a lease', () => {
  test('lasts from the sending of the newest acknowledged heartbeat; an older one that is answered late takes nothing back', () => {
    const { keeper, isLicensed } = open()
    assert.equal(isLicensed(0), false)
    keeper.acknowledged(2_000)
    keeper.acknowledged(1_000)
    assert.equal(keeper.leaseEndsAtMs(), 2_000 + timings.leaseMs)
    assert.equal(isLicensed(2_000 + timings.leaseMs - 1), true)
    assert.equal(isLicensed(2_000 + timings.leaseMs), false)
  })
})

describe('the first word to the watchdog', () => {
  test('names every machine that an earlier agent left, and nothing is told before it', async () => {
    const { keeper, told } = open()
    keeper.pillRead(sharedId, 1_000)
    await keeper.tellWatchdog()
    assert.equal(told.length, 0)
    const others = [vmIdOf('web'), vmIdOf('db')].map((vmId) => [vmId, entry] as const)
    await keeper.takeOver(new Map(others))
    assert.deepEqual(
      told.map(({ machines, pills }) => [machines.map(({ vmId }) => vmId), pills]),
      [[others.map(([vmId]) => vmId), [sharedId]]],
    )
  })
})

describe('a pill', () => {
  test('ends the licence at once, and the watchdog is told without delay', async () => {
    const { keeper, told, isLicensed } = open()
    await keeper.takeOver(new Map())
    keeper.acknowledged(1_000)
    keeper.pillFreeRead(sharedId, 1_000)
    keeper.pillRead(sharedId, 1_100)
    assert.equal(isLicensed(1_100), false)
    assert.equal(keeper.judge([sharedId], 1_100).kind, 'kill')
    assert.deepEqual(told.at(-1)?.pills, [sharedId])
    assert.deepEqual(told.at(-1)?.pillFreeReads, [])
  })

  test('is not settled by an acknowledgement of a heartbeat that was sent before it was read, nor in that moment', () => {
    const { keeper, isLicensed } = open()
    keeper.pillRead(sharedId, 1_100)
    keeper.acknowledged(1_000)
    keeper.acknowledged(1_100)
    assert.equal(keeper.hasPill(sharedId), true)
    assert.equal(isLicensed(1_101), false)
    keeper.acknowledged(1_101)
    assert.equal(keeper.hasPill(sharedId), false)
    assert.equal(isLicensed(1_101), true)
  })

  test('is not settled by a slot that is free of it later: only the leader admits the host again', () => {
    const { keeper, isLicensed } = open()
    keeper.pillRead(sharedId, 1_100)
    keeper.pillFreeRead(sharedId, 5_000)
    assert.equal(isLicensed(5_000), false)
  })

  test('on one storage says nothing about machines on another', () => {
    const { keeper } = open()
    keeper.acknowledged(1_000)
    keeper.pillRead(storageIdOf('other'), 1_100)
    assert.equal(keeper.isLicensed([sharedId], 1_200), true)
  })
})

describe('a slot that this host cleared itself', () => {
  test('counts for nothing until the leader was heard since, for the next agent as well', async () => {
    const cleared = new Set<StorageId>()
    const first = open(cleared)
    await first.keeper.ownSlotCleared(sharedId, null)
    const next = open(cleared)
    next.keeper.pillFreeRead(sharedId, 5_000)
    assert.equal(next.isLicensed(5_000), false)
    next.keeper.acknowledged(1_000)
    next.keeper.pillFreeRead(sharedId, 5_000)
    assert.equal(next.isLicensed(5_000), false)
    next.keeper.acknowledged(1_001)
    next.keeper.pillFreeRead(sharedId, 5_000)
    assert.equal(next.isLicensed(5_000), true)
    assert.deepEqual([...cleared], [])
  })
})

describe('a machine', () => {
  test('is under guard when the watchdog has answered', async () => {
    const { keeper, told } = open()
    await keeper.guard(webId, entry)
    assert.deepEqual(told.at(-1)?.machines, [{ vmId: webId, ...entry }])
  })

  test('is not under guard when the watchdog did not answer, and whoever asked is told', async () => {
    const { keeper, told, link } = open()
    link.isSilent = true
    await assert.rejects(keeper.guard(webId, entry), { code: 'deadline-exceeded' })
    link.isSilent = false
    await keeper.tellWatchdog()
    assert.deepEqual(told.at(-1)?.machines, [])
  })

  test('that was under guard stays so when a change of it could not be told', async () => {
    const { keeper, told, link } = open()
    await keeper.guard(webId, entry)
    link.isSilent = true
    await assert.rejects(keeper.guard(webId, { ...entry, isFrozen: true }))
    link.isSilent = false
    await keeper.tellWatchdog()
    assert.equal(told.at(-1)?.machines.length, 1)
    keeper.unguard(webId)
    assert.deepEqual(told.at(-1)?.machines, [])
  })
})
