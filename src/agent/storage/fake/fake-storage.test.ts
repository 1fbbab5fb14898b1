import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { failsWith, testStorage } from '../storage.contract.ts'
import { createFakeStorageWorld } from './fake-storage.ts'

testStorage('fake storage', async () => {
  const world = createFakeStorageWorld({ shared: true, sleep: delay })
  return {
    onHost: world.storageOf,
    base: { version: 'tiny-1', path: '/fake/root.qcow2' },
    cgroupDirectory: '/fake/cgroup',
    holdOpen: async (hostName, volumeId) => {
      const close = world.storageOf(hostName).holdOpen(volumeId)
      return async () => close()
    },
    tearSlot: async (slot) => world.tearSlot(slot),
  }
})

test('a host that the storage refuses fails while another goes on', async () => {
  const world = createFakeStorageWorld({ shared: true, sleep: delay })
  world.storageOf('a').setFault({ kind: 'refuses' })
  await assert.rejects(world.storageOf('a').readSlot(0), failsWith('storage-failed'))
  await world.storageOf('b').writeSlot(0, 'pill')
  world.storageOf('a').setFault({ kind: 'none' })
  assert.equal(await world.storageOf('a').readSlot(0), 'pill')
})

test('a call to a hanging storage takes effect once the storage answers again', async () => {
  const world = createFakeStorageWorld({ shared: true, sleep: delay })
  world.storageOf('a').setFault({ kind: 'hangs' })
  const write = world.storageOf('a').writeSlot(0, 'late')
  await delay(1)
  assert.equal(await world.storageOf('b').readSlot(0), undefined)
  world.storageOf('a').setFault({ kind: 'none' })
  await write
  assert.equal(await world.storageOf('b').readSlot(0), 'late')
})

test('a slow storage takes its time on the given clock', async () => {
  const sleeps: number[] = []
  const world = createFakeStorageWorld({ shared: true, sleep: async (delayMs) => void sleeps.push(delayMs) })
  world.storageOf('a').setFault({ kind: 'slow', delayMs: 700 })
  await world.storageOf('a').usage()
  assert.deepEqual(sleeps, [700])
})
