import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { webId } from '../machines/machine-host.fixture.ts'
import {
  chainOf,
  currentLayer,
  failWhen,
  journalOf,
  leftOvers,
  recoveryOf,
  replacedLayers,
  rungsOf,
  startReady,
  warm,
  writtenPath,
} from './recovering-machine.fixture.ts'

describe('a warm machine whose process dies', () => {
  test('is taken over by the process that waited, under the next incarnation, after its disks were claimed', async () => {
    const host = await startReady()
    const [spare] = host.spares()
    assert.ok(spare)
    const written = await currentLayer(host)
    await host.crash()
    assert.equal(host.living()?.pid, spare.pid)
    assert.deepEqual(host.living()?.definition.life, { vmId: webId, epoch: 1, incarnation: 1 })
    const before = host.history.slice(0, host.history.indexOf('run 1.1'))
    for (const entry of ['write 1.1 confirmed running', 'claim 1.1', 'take-over 1.1'])
      assert.ok(before.includes(entry), entry)
    assert.ok(writtenPath(host)?.includes(String(await currentLayer(host))))
    assert.deepEqual(await replacedLayers(host), [written])
    await host.clock.advance(5_000)
    assert.equal(recoveryOf(host).service, 'correct')
    assert.equal(recoveryOf(host).startedBy, 'resume')
    assert.equal(recoveryOf(host).spare, 'ready')
    assert.deepEqual(await leftOvers(host), [])
  })

  test('and that is stopped while it waits for a licence leaves no process that waits for it', async () => {
    const host = await startReady({ ...warm, leased: true })
    await host.pass(10_000)
    await host.crash()
    assert.equal(host.report()?.phase, 'restarting')
    await host.room.keeper(webId)?.shutDown()
    await host.pass(5_000)
    assert.deepEqual([host.report()?.phase, host.spares().length], ['stopped', 0])
  })

  test('and whose spare is missing gets one made on the spot', async () => {
    const host = await startReady()
    failWhen(host, ({ kind }) => kind === 'prepare')
    for (const { shape } of host.spares()) host.world.crash(shape.runDirectory, 'out of memory')
    await host.clock.advance(10)
    assert.equal(host.spares().length, 0)
    failWhen(host, () => false)
    await host.crash()
    assert.equal(recoveryOf(host).startedBy, 'resume')
    assert.deepEqual(rungsOf(host), ['resume-here'])
    await host.clock.advance(5_000)
    assert.deepEqual(await leftOvers(host), [])
  })

  test('and whose image is corrupt boots, and tells why', async () => {
    const host = await startReady()
    for (const { shape } of host.spares()) host.world.crash(shape.runDirectory, 'out of memory')
    host.images.fault = new DialtoneError('image-corrupt', 'the memory of the image fails its checksum')
    await host.clock.advance(10)
    await host.crash()
    await host.clock.advance(5_000)
    assert.equal(recoveryOf(host).startedBy, 'boot')
    assert.equal(recoveryOf(host).service, 'correct')
    assert.ok(journalOf(host, 'rung-ended').some(({ isCured, detail }) => !isCured && detail.includes('checksum')))
    assert.deepEqual(await leftOvers(host), [])
  })

  test('and whose image is for other hardware boots', async () => {
    const host = await startReady()
    await host.release(1)
    await host.start(2, { ...warm, memoryMiB: 128, start: 'resume' })
    await host.clock.advance(10_000)
    assert.equal(recoveryOf(host).startedBy, 'boot')
    assert.equal(host.report()?.phase, 'running')
  })

  test('boots from the disk as it was when resuming fails each time, and leaves nothing of the attempts', async () => {
    const host = await startReady()
    const before = await chainOf(host)
    failWhen(host, ({ kind }) => kind === 'take-over')
    await host.crash()
    await host.clock.advance(10_000)
    assert.deepEqual(rungsOf(host), ['resume-here', 'resume-here', 'boot'])
    assert.equal(recoveryOf(host).startedBy, 'boot')
    assert.equal(recoveryOf(host).service, 'correct')
    assert.deepEqual(await chainOf(host), before)
    assert.deepEqual(await leftOvers(host), [])
  })

  test('boots when its vCPUs cannot be let run after a resume', async () => {
    const host = await startReady()
    failWhen(host, ({ kind }) => kind === 'resume' && recoveryOf(host).startedBy === 'resume')
    await host.crash()
    await host.clock.advance(10_000)
    assert.deepEqual(rungsOf(host), ['resume-here', 'resume-here', 'boot'])
    assert.equal(recoveryOf(host).service, 'correct')
    assert.deepEqual(await leftOvers(host), [])
  })

  test('while its network cannot be changed never has its disk switched after it was booted instead', async () => {
    const host = await startReady()
    const before = await chainOf(host)
    host.storage.setFault({ kind: 'slow', delayMs: 20 })
    // The card fails at once, long before the disk is switched; afterwards it can't be resumed again.
    host.network.setBroken(true)
    host.images.fault = new DialtoneError('cache-full', 'no room for it')
    host.kill()
    await host.clock.advance(10)
    host.network.setBroken(false)
    await host.clock.advance(10_000)
    host.storage.setFault({ kind: 'none' })
    assert.equal(host.report()?.phase, 'running')
    assert.equal(recoveryOf(host).startedBy, 'boot')
    assert.deepEqual(await chainOf(host), before)
    const path = writtenPath(host)
    const current = await currentLayer(host)
    assert.ok(
      path?.includes(String(current)) || (current === null && path?.endsWith('disk.qcow2')),
      `${path} ${current}`,
    )
  })

  test('while its storage refuses for a moment recovers all the same', async () => {
    const host = await startReady()
    host.storage.setFault({ kind: 'refuses' })
    await host.crash()
    await host.clock.advance(100)
    host.storage.setFault({ kind: 'none' })
    await host.clock.advance(20_000)
    assert.equal(host.report()?.phase, 'running')
    assert.equal(recoveryOf(host).service, 'correct')
    assert.deepEqual(await leftOvers(host), [])
  })
})

test('a spare that could not be made is made when that is possible again', async () => {
  const host = await startReady()
  failWhen(host, ({ kind }) => kind === 'prepare')
  for (const { shape } of host.spares()) host.world.crash(shape.runDirectory, 'out of memory')
  await host.clock.advance(5_000)
  assert.match(recoveryOf(host).note, /prepare failed/)
  failWhen(host, () => false)
  await host.clock.advance(120_000)
  assert.equal(recoveryOf(host).spare, 'ready')
  assert.equal(recoveryOf(host).note, '')
  assert.deepEqual(await leftOvers(host), [])
})

test('a machine that dies under a lost licence resumes when the licence is back, and counts one attempt', async () => {
  const host = await startReady({ ...warm, leased: true }, (one) => one.renewLease())
  assert.equal(host.report()?.phase, 'running')
  await host.clock.advance(10_000)
  await host.crash()
  assert.equal(host.report()?.phase, 'restarting')
  await host.clock.advance(2_000)
  assert.equal(host.living(), undefined)
  host.renewLease()
  await host.clock.advance(1_000)
  assert.equal(recoveryOf(host).startedBy, 'resume')
  assert.deepEqual(rungsOf(host), ['resume-here'])
  assert.equal(host.isGuarded(), true)
})

test('a licence that ends while the machine is taken over stops it, and leaves the attempt to be repeated', async () => {
  const host = await startReady({ ...warm, leased: true }, (one) => one.renewLease())
  host.renewLease()
  const before = await currentLayer(host)
  host.storage.setFault({ kind: 'slow', delayMs: 5_000 })
  host.kill()
  await host.clock.advance(30_000)
  assert.equal(host.living(), undefined)
  assert.equal(host.report()?.phase, 'restarting')
  host.storage.setFault({ kind: 'none' })
  host.renewLease()
  await host.clock.advance(2_000)
  assert.equal(recoveryOf(host).startedBy, 'resume')
  assert.deepEqual(rungsOf(host), ['resume-here'])
  assert.ok((await replacedLayers(host)).some((layerId) => layerId === before))
})
