import assert from 'node:assert/strict'
import { test } from 'node:test'
import { volumeIdSchema } from '../../model/ids.ts'
import type { Flattening } from '../storage/clone-storage.ts'
import { createVirtualClock } from '../virtual-clock.fixture.ts'
import { createFlattenWorks } from './flatten-works.ts'

const volumeId = volumeIdSchema.parse('vol-aaaaaaaa')

function world() {
  const begun: PromiseWithResolvers<void>[] = []
  const storage = {
    flattenVolume(_volumeId: typeof volumeId, { begins, signal }: Flattening) {
      const work = Promise.withResolvers<void>()
      signal.addEventListener('abort', () => work.reject(new Error('called off')))
      begins(async () => 0.25)
      begun.push(work)
      return work.promise
    },
  }
  const clock = createVirtualClock()
  const works = createFlattenWorks(clock, async () => '/tools')
  const follow = async () => {
    const report = works.follow(volumeId, storage, 500)
    await Promise.race([report.catch(() => undefined), clock.advance(500)])
    return report
  }
  return { begun, follow, works }
}

test('a volume is made to stand alone once, however often that is asked for, and is done once', async () => {
  const { begun, follow } = world()
  assert.equal((await follow()).isDone, false)
  assert.deepEqual(await follow(), { isDone: false, progress: 0.25 })
  assert.equal(begun.length, 1)
  begun[0]?.resolve()
  assert.deepEqual(await follow(), { isDone: true, progress: 1 })
})

test('what broke is told once, and begun anew', async () => {
  const { begun, follow } = world()
  await follow()
  begun[0]?.reject(new Error('the storage is full'))
  await assert.rejects(follow(), /storage is full/)
  assert.equal((await follow()).isDone, false)
  assert.equal(begun.length, 2)
})

test('one that is called off is over when that resolves', async () => {
  const { begun, follow, works } = world()
  await works.callOff(volumeId)
  await follow()
  await works.callOff(volumeId)
  await assert.rejects(begun[0]?.promise ?? Promise.resolve(), /called off/)
})
