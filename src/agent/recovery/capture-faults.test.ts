import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { createMachineHost, dataId, rootId, webId } from '../machines/machine-host.fixture.ts'
import {
  chainOf,
  currentLayer,
  data,
  failWhen,
  keeperOf,
  layerCount,
  leftOvers,
  recoveryOf,
  root,
  startReady,
  warm,
  writtenPath,
} from './recovering-machine.fixture.ts'

describe('a capture', () => {
  test('for a machine that is to recover warm from now on waits for what is under way with it, however that ends', async () => {
    const host = await startReady({ ...warm, recovery: { mode: 'checkpoint', everySeconds: 100, keep: 1 } })
    const { guests } = host.world
    host.world.guests = { ...guests, resident: () => 'silent' }
    const underWay = assert.rejects(keeperOf(host).capture('recovery'), { code: 'image-unfit' })
    await host.clock.advance(5_000)
    const order = keeperOf(host).record().machine
    await keeperOf(host).configure({ ...order, recovery: { mode: 'warm' }, probe: warm.probe })
    await host.clock.advance(18_000)
    await underWay
    host.world.guests = guests
    await host.clock.advance(10_000)
    assert.equal(recoveryOf(host).image?.kind, 'warm', recoveryOf(host).note)
  })

  test('that the hypervisor refuses puts the layers back, and the machine runs on as before', async () => {
    const host = await createMachineHost()
    failWhen(host, ({ kind }) => kind === 'capture')
    await host.start(1, warm)
    await host.clock.advance(5_000)
    assert.equal(host.report()?.phase, 'running')
    assert.equal(await currentLayer(host), null)
    assert.equal(await layerCount(host), 1)
    assert.match(recoveryOf(host).note, /no image could be captured.*capture failed/)
    assert.equal(recoveryOf(host).image, null)
    assert.deepEqual(await leftOvers(host), [])
  })

  for (const kind of ['write-stream', 'bake'] as const)
    test(`whose ${kind} breaks leaves the machine running on its new layer, and no half image`, async () => {
      const host = await createMachineHost()
      failWhen(host, (order) => order.kind === kind)
      await host.start(1, warm)
      await host.clock.advance(5_000)
      assert.equal(host.report()?.phase, 'running')
      assert.ok(writtenPath(host)?.includes(String(await currentLayer(host))))
      assert.deepEqual(await host.storage.listImages(rootId), [])
      assert.deepEqual(await host.images.list(), [])
      assert.deepEqual(await leftOvers(host), [])
    })

  test('in whose middle the process dies boots with everything that was written, and the old image stays usable', async () => {
    const host = await startReady()
    const image = recoveryOf(host).image?.imageId
    const written = await currentLayer(host)
    // The layers are switched by then; the process dies as it is told to write to them.
    failWhen(host, ({ kind }) => {
      if (kind !== 'capture') return false
      host.kill()
      return true
    })
    await assert.rejects(keeperOf(host).capture('recovery'))
    failWhen(host, () => false)
    const chain = await chainOf(host)
    assert.ok(chain.includes(written ?? null), 'what was written last is under what is written now')
    await host.clock.advance(5_000)
    assert.equal(recoveryOf(host).image?.imageId, image)
    assert.equal(recoveryOf(host).startedBy, 'resume')
    assert.deepEqual(await leftOvers(host), [], 'what was replaced is remembered')
  })

  test('in whose middle the agent dies, before the layers were switched or after, loses no write', async () => {
    for (const when of ['before', 'after'] as const) {
      const host = await startReady()
      const written = await currentLayer(host)
      const image = recoveryOf(host).image?.imageId
      host.storage.setFault({ kind: 'slow', delayMs: 100 })
      const capture = keeperOf(host).capture('recovery')
      capture.catch(() => undefined)
      // Looking and adding take a tenth of a second each, then comes the switch.
      await host.clock.advance(when === 'before' ? 250 : 330)
      host.storage.setFault({ kind: 'none' })
      const [current, path] = [await currentLayer(host), writtenPath(host)]
      await host.restartAgent({ meanwhile: () => host.kill() })
      await host.clock.advance(5_000)
      assert.equal(recoveryOf(host).startedBy, 'resume', when)
      assert.equal(recoveryOf(host).image?.imageId, image)
      assert.ok((await chainOf(host, current)).includes(written ?? null), `${path} stays under ${current}`)
      assert.deepEqual(await leftOvers(host), [], when)
    }
  })

  test('that was made a whole image counts, also when older ones cannot be tidied away', async () => {
    const host = await startReady()
    const first = recoveryOf(host).image?.imageId
    failWhen(host, ({ kind }) => kind === 'merge-layers')
    await keeperOf(host).capture('recovery')
    await keeperOf(host).capture('recovery')
    await host.clock.advance(5_000)
    assert.notEqual(recoveryOf(host).image?.imageId, first)
    assert.equal(recoveryOf(host).spare, 'ready')
    assert.equal(recoveryOf(host).note, '')
  })

  test('of a machine that waits for its licence is refused: it would run without one', async () => {
    const host = await startReady({ ...warm, leased: true }, (one) => one.renewLease())
    host.renewLease()
    await host.pass(5_000)
    assert.equal(host.report()?.phase, 'frozen')
    await assert.rejects(keeperOf(host).capture('recovery'), { code: 'wrong-state' })
    assert.equal(host.living()?.state, 'paused')
  })

  test('of a machine that boots, or while one is under way, is refused', async () => {
    const host = await startReady({ leased: false })
    await assert.rejects(keeperOf(host).capture('recovery'), { code: 'wrong-state' })
    const other = await startReady()
    const first = keeperOf(other).capture('recovery')
    await assert.rejects(keeperOf(other).capture('recovery'), { code: 'in-use' })
    await first
  })

  test('by hand of a guest without resident agent is refused', async () => {
    const host = await startReady(warm, ({ world }) => {
      world.guests = { ...world.guests, resident: () => 'silent' }
    })
    await host.clock.advance(60_000)
    assert.match(recoveryOf(host).note, /no resident agent/)
    const refused = assert.rejects(keeperOf(host).capture('recovery'), { code: 'image-unfit' })
    await host.clock.advance(60_000)
    await refused
    assert.deepEqual(await host.storage.listImages(rootId), [])
  })

  test('is called off by nothing that the machine does: released in its middle, it leaves nothing half', async () => {
    const host = await createMachineHost()
    await host.start(1, warm)
    await host.clock.advance(300)
    host.storage.setFault({ kind: 'slow', delayMs: 50 })
    const released = host.beginRelease(1)
    await host.clock.advance(60_000)
    await released
    host.storage.setFault({ kind: 'none' })
    assert.equal(host.living(), undefined)
    assert.equal(host.spares().length, 0)
    assert.deepEqual(await host.network.listTaps(), [])
    assert.deepEqual([...host.files.processes.keys()], [])
  })
})

describe('a machine with a data volume', () => {
  const withData = { ...warm, disks: [root, data] }

  test('gets it plugged in after its image was captured, and again after each recovery', async () => {
    const host = await startReady(withData)
    assert.deepEqual([...(host.living()?.layers.keys() ?? [])], [rootId, dataId])
    const [image] = await host.storage.listImages(rootId)
    assert.deepEqual(
      image?.disks.map(({ volumeId }) => volumeId),
      [rootId],
    )
    await host.crash()
    await host.clock.advance(1_000)
    assert.equal(recoveryOf(host).startedBy, 'resume')
    assert.deepEqual([...(host.living()?.layers.keys() ?? [])], [rootId, dataId])
  })

  test('is told why it has no image, also after its volumes were mounted', async () => {
    const host = await startReady(withData, (one) => failWhen(one, ({ kind }) => kind === 'bake'))
    assert.equal(host.living()?.layers.has(dataId), true)
    assert.match(recoveryOf(host).note, /no image could be captured/)
  })

  test('that booted with it and is to recover warm from now on is not captured while it is in', async () => {
    const host = await startReady({ ...withData, recovery: { mode: 'boot' } })
    const order = keeperOf(host).record().machine
    await keeperOf(host).configure({ ...order, recovery: { mode: 'warm' }, probe: warm.probe })
    await host.clock.advance(5_000)
    assert.deepEqual(await host.storage.listImages(rootId), [])
    assert.match(recoveryOf(host).note, /plugged in/)
    assert.equal(host.report()?.phase, 'running')
    assert.equal(await layerCount(host), 1)
  })

  test('keeps it when its guest does not let go of it for a capture by hand', async () => {
    const host = await startReady({ ...withData })
    const { guests } = host.world
    host.world.guests = {
      ...guests,
      resident: (machine, request) => (request.do === 'unmount' ? 'silent' : guests.resident(machine, request)),
    }
    const refused = assert.rejects(keeperOf(host).capture('recovery'), { code: 'guest-silent' })
    await host.clock.advance(60_000)
    await refused
    assert.equal(host.living()?.layers.has(dataId), true)
  })

  test('gets it as soon as its guest, too busy at first, can mount it', async () => {
    const host = await startReady(withData)
    const { guests } = host.world
    let refused = 0
    host.world.guests = {
      ...guests,
      resident(machine, request) {
        if (request.do !== 'mount' || refused >= 3) return guests.resident(machine, request)
        refused += 1
        throw new DialtoneError('wrong-state', 'no disk with that serial number came within 5 s')
      },
    }
    await host.crash()
    await host.clock.advance(2_000)
    assert.match(recoveryOf(host).note, /no disk/)
    await host.clock.advance(10_000)
    assert.equal(refused, 3)
    assert.equal(recoveryOf(host).note, '')
    assert.equal(recoveryOf(host).spare, 'ready')
  })

  test('gets it also when the agent that resumed it died before', async () => {
    const host = await startReady(withData)
    const { guests } = host.world
    host.world.guests = { ...guests, resident: () => 'silent' }
    await host.crash()
    await host.clock.advance(100)
    assert.equal(host.living()?.layers.has(dataId), false)
    await host.restartAgent({
      meanwhile: () => {
        host.world.guests = guests
      },
    })
    await host.clock.advance(3_000)
    assert.equal(host.report()?.phase, 'running')
    assert.equal(host.living()?.layers.has(dataId), true)
    assert.equal(host.records.get(webId)?.startedBy, 'resume')
  })
})
