import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { hostIdOf, sharedId, storageIdOf } from '../../model/cluster-state.fixture.ts'
import { formatPill } from '../../model/protection/pill.ts'
import { defaultTimings as timings } from '../../model/timings.ts'
import { createFakeStorageWorld } from '../storage/fake/fake-storage.ts'
import { createVirtualClock } from '../virtual-clock.fixture.ts'
import { clearedSlotsInMemory } from './cleared-slots.fixture.ts'
import { createLicenceKeeper } from './licence-keeper.ts'
import { readSlots } from './read-slots.ts'

const hostId = hostIdOf('ada')
const slot = 3
const otherId = storageIdOf('other')
const pillFor = (name: string) => formatPill({ kind: 'pill', hostId: hostIdOf(name), term: 1, generation: 1 })
const logger = { info: () => undefined, warn: () => undefined, error: () => undefined }

function open(t: TestContext) {
  const clock = createVirtualClock()
  const end = new AbortController()
  t.after(() => end.abort())
  const openStorage = () => createFakeStorageWorld({ shared: true, sleep: (delayMs) => clock.sleep(delayMs) })
  const [world, otherWorld] = [openStorage(), openStorage()]
  const [storage, other] = [world.storageOf('ada'), otherWorld.storageOf('ada')]
  const link = {
    armed: () => 'hard' as const,
    tell: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }
  const licences = createLicenceKeeper({
    link,
    logger,
    timings,
    clearedSlots: clearedSlotsInMemory(),
    earlierClearedByMs: 0,
  })
  const watches = [
    { storageId: sharedId, storage, slot },
    { storageId: otherId, storage: other, slot },
  ]
  const begin = () => readSlots(watches, { clock, logger, licences, hostId, signal: end.signal })
  return {
    clock,
    world,
    storage,
    other,
    licences,
    begin,
    isLicensed: (storageId = sharedId) => licences.isLicensed([storageId], clock.bootTimeMs()),
  }
}

describe('a slot', () => {
  test('that is free of a pill gives a licence, and gives it again with each read', async (t) => {
    const host = open(t)
    assert.equal(host.isLicensed(), false)
    const slots = host.begin()
    await host.clock.advance(10 * timings.pillFreeMs)
    assert.equal(host.isLicensed(), true)
    assert.ok((slots.probeAgeMs(sharedId) ?? Infinity) <= timings.slotReadMs)
  })

  test('gives it from the start of the read: one that takes too long gives none', async (t) => {
    const host = open(t)
    host.storage.setFault({ kind: 'slow', delayMs: timings.pillFreeMs })
    host.begin()
    await host.clock.advance(timings.pillFreeMs)
    assert.equal(host.isLicensed(), false)
  })

  test('with a pill for this host kills', async (t) => {
    const host = open(t)
    host.begin()
    await host.clock.settle()
    await host.world.storageOf('bob').writeSlot(slot, pillFor('ada'))
    await host.clock.advance(timings.slotReadMs)
    assert.equal(host.licences.hasPill(sharedId), true)
    assert.equal(host.isLicensed(), false)
  })

  for (const [statement, content] of [
    ['with a pill for another host', pillFor('bob')],
    ['with something unintelligible', 'x'],
  ] as const) {
    test(`${statement} gives no licence, and is no probe`, async (t) => {
      const host = open(t)
      await host.storage.writeSlot(slot, content)
      const slots = host.begin()
      await host.clock.advance(timings.pillFreeMs)
      assert.equal(host.isLicensed(), false)
      assert.equal(host.licences.hasPill(sharedId), false)
      assert.equal(slots.probeAgeMs(sharedId), null)
    })
  }

  test('that becomes unreadable lets the licence end, and gives it again when it can be read', async (t) => {
    const host = open(t)
    const slots = host.begin()
    await host.clock.settle()
    host.world.tearSlot(slot)
    await host.clock.advance(timings.pillFreeMs)
    assert.equal(host.isLicensed(), false)
    assert.equal(slots.probeAgeMs(sharedId), timings.pillFreeMs)
    await host.storage.writeSlot(slot, '')
    await host.clock.advance(timings.slotReadMs)
    assert.equal(host.isLicensed(), true)
  })

  test('on a storage that hangs delays no other', async (t) => {
    const host = open(t)
    host.storage.setFault({ kind: 'hangs' })
    host.begin()
    await host.clock.advance(5_000)
    assert.equal(host.isLicensed(otherId), true)
    assert.equal(host.isLicensed(sharedId), false)
  })
})
