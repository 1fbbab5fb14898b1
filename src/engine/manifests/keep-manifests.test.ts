import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostIdOf, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import { put } from '../leader.ts'
import { keys } from '../state/keys.ts'

const volumeId = volumeIdOf('web')
const written = (cloud: Cloud) => cloud.agents.disks.manifests.get(volumeId)

async function startWith() {
  const cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
  const vmId = await cloud.createRunning('web')
  await cloud.clock.until('its manifest is written', () => written(cloud)?.placement !== undefined, 5_000)
  return { cloud, vmId }
}

test('a machine’s manifest says what it is, where, and under which epoch', async () => {
  const { cloud, vmId } = await startWith()
  await cloud.clock.advance(3_000)
  const { spec, placement } = cloud.vm(vmId) ?? assert.fail()
  const manifest = written(cloud)
  assert.deepEqual(manifest?.vm, spec)
  assert.deepEqual(
    manifest.placement?.host.name,
    cloud.state().hosts.get(placement?.hostId ?? assert.fail())?.spec.name,
  )
  assert.equal(manifest.version.epoch, placement?.epoch)
  assert.deepEqual(
    manifest.storages.map(({ name }) => name),
    ['shared'],
  )
  assert.deepEqual(cloud.engine().manifestsBehind(), new Map())
  await cloud[Symbol.asyncDispose]()
})

test('it follows every change, with a higher revision, also of a new leader, and is not written again without one', async () => {
  const { cloud, vmId } = await startWith()
  await cloud.clock.advance(3_000)
  const before = written(cloud)?.version.revision ?? 0
  cloud.crash()
  await cloud.startEngine()
  await cloud.clock.advance(3_000)
  assert.equal(written(cloud)?.version.revision, before)
  await cloud.change(vmId, { note: 'for the shop' })
  await cloud.clock.until('the note is in it', () => written(cloud)?.vm.note === 'for the shop', 3_000)
  assert.ok((written(cloud)?.version.revision ?? 0) > before)
  await cloud[Symbol.asyncDispose]()
})

test('what it is told as user-data is in no manifest, and named as left out', async () => {
  const { cloud, vmId } = await startWith()
  await cloud.change(vmId, {
    cloudInit: { userData: '#cloud-config\npassword: geheim', sshKeys: [], networkConfig: null },
  })
  await cloud.clock.until('it is named', () => written(cloud)?.withheld.length === 1, 3_000)
  assert.ok(!JSON.stringify(written(cloud)).includes('geheim'))
  await cloud[Symbol.asyncDispose]()
})

test('one that can’t be written is told, does not hold up its machine, and is written as soon as it can be', async () => {
  const { cloud, vmId } = await startWith()
  await cloud.clock.advance(3_000)
  for (const host of cloud.agents.hosts.values()) host.isWithoutStorage = true
  await cloud.change(vmId, { note: 'late' })
  await cloud.clock.until('it is behind', () => cloud.engine().manifestsBehind().has(vmId), 5_000)
  for (const host of cloud.agents.hosts.values()) host.isWithoutStorage = false
  await cloud.clock.until('it is written', () => written(cloud)?.vm.note === 'late', 6_000)
  await cloud.clock.advance(100)
  assert.deepEqual(cloud.engine().manifestsBehind(), new Map())
  await cloud[Symbol.asyncDispose]()
})

test('a newer one of a state that this one has forgotten stays until there is a newer one still', async () => {
  const { cloud, vmId } = await startWith()
  await cloud.clock.advance(3_000)
  const manifest = written(cloud) ?? assert.fail()
  const revision = manifest.version.revision + 7
  cloud.agents.disks.keepManifest(volumeId, { ...manifest, version: { ...manifest.version, revision } })
  await cloud.change(vmId, { note: 'newest' })
  await cloud.clock.until('it is written', () => written(cloud)?.vm.note === 'newest', 8_000)
  assert.equal(written(cloud)?.version.revision, revision + 1)
  await cloud[Symbol.asyncDispose]()
})

test('a deleted machine leaves nothing of it in the store', async () => {
  const { cloud, vmId } = await startWith()
  await cloud.delete(vmId)
  await cloud.clock.until('it is gone', () => cloud.vm(vmId) === undefined, 10_000)
  await cloud.clock.advance(3_000)
  assert.deepEqual((await cloud.store.range('manifest/')).entries, [])
  await cloud[Symbol.asyncDispose]()
})

test('of a machine of which nobody knows whether it runs, none is written', async () => {
  const { cloud, vmId } = await startWith()
  await cloud.clock.advance(3_000)
  const { spec } = cloud.vm(vmId) ?? assert.fail()
  const before = written(cloud)?.version
  // A newer claim than the life that is heard of.
  const rebuilt = { upToEpoch: 9, ownedEpoch: 9, awaits: [hostIdOf('carol')] }
  await cloud.store.commit({ conditions: [], writes: [put(keys.vm(vmId), { ...spec, note: 'held', rebuilt })] })
  await cloud.clock.advance(2_000)
  assert.deepEqual(written(cloud)?.version, before)
  await cloud[Symbol.asyncDispose]()
})
