import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { rootId, sampleOrder, webId } from '../machines/machine-host.fixture.ts'
import { failWhen, leftOvers, recoveryOf, startReady, warm } from './recovering-machine.fixture.ts'

/** Its image is on the storage, and it runs nowhere. */
async function afterRelease() {
  const host = await startReady()
  const [image] = await host.storage.listImages(rootId)
  assert.ok(image)
  await host.release(1)
  await host.clock.advance(1_000)
  return { host, image, standbys: host.room.standbys }
}

describe('a standby', () => {
  test('has the image and a process that waits, and the machine that is ordered here resumes from it', async () => {
    const { host, image, standbys } = await afterRelease()
    standbys.keep(sampleOrder(warm), image.id)
    await host.clock.advance(1_000)
    assert.equal(standbys.reports()[0]?.state, 'ready')
    const [spare] = host.spares()
    await host.start(2, { ...warm, start: 'resume' })
    assert.equal(host.living()?.pid, spare?.pid)
    assert.deepEqual(host.living()?.definition.life, { vmId: webId, epoch: 2, incarnation: 0 })
    assert.ok(host.history.indexOf('claim 2.0') < host.history.indexOf('run 2.0'))
    assert.deepEqual(standbys.reports(), [])
    await host.clock.advance(3_000)
    assert.deepEqual(await leftOvers(host), [])
  })

  test('whose machine is told to begin at once after it was dropped here is kept all the same', async () => {
    const { host, image, standbys } = await afterRelease()
    host.storage.setFault({ kind: 'slow', delayMs: 50 })
    standbys.keep(sampleOrder(warm), image.id)
    await host.clock.advance(60)
    const dropped = standbys.drop(webId)
    standbys.keep(sampleOrder(warm), image.id)
    await host.clock.advance(35_000)
    await dropped
    assert.equal(host.spares().length, 1)
    assert.equal(standbys.reports()[0]?.state, 'ready')
  })

  test('follows to another image, and nothing of the older spare is left', async () => {
    const { host, image, standbys } = await afterRelease()
    standbys.keep(sampleOrder(warm), image.id)
    await host.clock.advance(1_000)
    await host.start(2, { ...warm, start: 'resume' })
    await host.clock.advance(2_000)
    const captured = await host.room.keeper(webId)?.capture('recovery')
    assert.ok(captured)
    await host.release(2)
    await host.clock.advance(1_000)
    standbys.keep(sampleOrder(warm), captured.id)
    await host.clock.advance(1_000)
    assert.deepEqual(
      host.spares().map(({ shape }) => shape.vmId),
      [webId],
    )
    assert.equal(standbys.reports()[0]?.imageId, captured.id)
    assert.equal(standbys.reports()[0]?.state, 'ready')
  })

  test('that is dropped, also while its process is being prepared, leaves nothing', async () => {
    for (const afterMs of [0, 120, 1_000]) {
      const { host, image, standbys } = await afterRelease()
      host.storage.setFault({ kind: 'slow', delayMs: 50 })
      standbys.keep(sampleOrder(warm), image.id)
      await host.clock.advance(afterMs)
      const dropped = standbys.drop(webId)
      await host.clock.advance(5_000)
      await dropped
      assert.equal(host.spares().length, 0)
      assert.deepEqual(await host.network.listTaps(), [])
      assert.deepEqual([...host.files.processes.keys()], [])
      assert.deepEqual(standbys.reports(), [])
    }
  })

  test('whose image cannot be placed says why, and tries again when it is told again', async () => {
    const { host, image, standbys } = await afterRelease()
    await host.images.remove(image.id)
    host.images.fault = new DialtoneError('cache-full', 'no room for it')
    standbys.keep(sampleOrder(warm), image.id)
    await host.clock.advance(100)
    assert.equal(standbys.reports()[0]?.state, 'failed')
    assert.match(standbys.reports()[0]?.detail ?? '', /no room/)
    host.images.fault = undefined
    standbys.keep(sampleOrder(warm), image.id)
    await host.clock.advance(100)
    assert.equal(standbys.reports()[0]?.state, 'ready')
  })
})

test('a machine whose disks another host has claimed is not left standing when it had been taken over', async () => {
  const { host } = await afterRelease()
  await host.storage.claimVolume(rootId, { hostName: 'bob', life: { vmId: webId, epoch: 5, incarnation: 0 } })
  await host.start(2, { ...warm, start: 'resume' })
  await host.clock.advance(5_000)
  assert.equal(host.report()?.phase, 'failed')
  assert.equal(host.living(), undefined)
  assert.equal(host.history.includes('run 2.0'), false)
  assert.deepEqual(await leftOvers(host), [])
})

test('a machine that is ordered to resume, and cannot, boots, and its host says why', async () => {
  const { host } = await afterRelease()
  failWhen(host, ({ kind }) => kind === 'take-over')
  await host.start(2, { ...warm, start: 'resume' })
  assert.equal(host.report()?.phase, 'running')
  assert.equal(recoveryOf(host).startedBy, 'boot')
  await host.clock.advance(5_000)
  assert.deepEqual(await leftOvers(host), [])
})
