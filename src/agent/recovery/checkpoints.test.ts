import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { layerIdSchema } from '../../model/ids.ts'
import { rootId } from '../machines/machine-host.fixture.ts'
import {
  chainOf,
  currentLayer,
  keeperOf,
  layerCount,
  leftOvers,
  probe,
  recoveryOf,
  startReady,
} from './recovering-machine.fixture.ts'

const everyMs = 10_000
const checkpointed = {
  leased: false,
  recovery: { mode: 'checkpoint', everySeconds: 10, keep: 2 },
  probe,
} as const

describe('checkpoints', () => {
  test('are taken at their times, as many are kept as the owner wants, and the chain stays short', async () => {
    const host = await startReady(checkpointed)
    const seen = new Set<string>()
    for (let count = 0; count < 30; count += 1) {
      const newest = recoveryOf(host).image?.imageId
      assert.ok(newest)
      seen.add(newest)
      assert.ok((await host.storage.listImages(rootId)).length <= 2)
      assert.ok((await chainOf(host)).length <= 4, (await chainOf(host)).join(' on '))
      await host.clock.advance(everyMs)
    }
    assert.equal(seen.size, 30)
    assert.ok((await layerCount(host)) <= 6)
    assert.deepEqual(await leftOvers(host), [])
  })

  test('leave no layers behind while another host keeps a spare on the newest one', async () => {
    const host = await startReady(checkpointed)
    let standby = 0
    let before: ReturnType<typeof layerIdSchema.parse> | undefined
    for (let count = 0; count < 12; count += 1) {
      const images = await host.storage.listImages(rootId)
      const on = images.at(-1)?.disks[0]?.layerId ?? null
      standby += 1
      const layerId = layerIdSchema.parse(
        `layer-standb${String(standby).padStart(2, '0').replaceAll('0', 'a')}`.slice(0, 14),
      )
      await host.storage.addLayer(rootId, { layerId, on, userId: 1, cgroupDirectory: '/tools' })
      if (before !== undefined && before !== layerId) await host.storage.removeLayer(rootId, before)
      before = layerId
      await host.clock.advance(everyMs)
    }
    assert.ok((await layerCount(host)) <= 9, `${await layerCount(host)} layers`)
  })

  test('go on after a recovery, and what the recovery replaced is still there', async () => {
    const host = await startReady(checkpointed)
    await host.clock.advance(25_000)
    const before = await currentLayer(host)
    await host.crash()
    await host.clock.advance(everyMs * 6)
    assert.ok((await host.storage.listLayers(rootId)).some(({ layerId }) => layerId === before))
    assert.deepEqual(await leftOvers(host), [])
    assert.ok((await layerCount(host)) <= 8)
  })

  test('leave nothing behind over twenty recoveries', async () => {
    const host = await startReady(checkpointed)
    for (let count = 0; count < 20; count += 1) {
      await keeperOf(host).injectFailure('kill-qemu')
      await host.clock.advance(everyMs * 2 + 3_000)
      assert.equal(recoveryOf(host).startedBy, 'resume', `recovery ${count}`)
    }
    assert.deepEqual(await leftOvers(host), [])
    // Four replaced disks are kept, each with the two layers that it lies on.
    assert.ok((await layerCount(host)) <= 4 * 3 + 5, `${await layerCount(host)} layers`)
  })

  test('end when the owner wants the machine to boot, and their pace is the one that was set last', async () => {
    const host = await startReady(checkpointed)
    const order = keeperOf(host).record().machine
    await keeperOf(host).configure({ ...order, recovery: { mode: 'checkpoint', everySeconds: 100, keep: 2 }, probe })
    await host.clock.advance(5_000)
    const first = recoveryOf(host).image?.imageId
    await host.clock.advance(50_000)
    assert.equal(recoveryOf(host).image?.imageId, first)
    await keeperOf(host).configure({ ...order, recovery: { mode: 'boot' }, probe })
    await host.clock.advance(300_000)
    assert.equal(recoveryOf(host).image, null)
    assert.equal(host.spares().length, 0)
    assert.equal((await host.storage.listImages(rootId)).at(-1)?.id, first)
  })
})
