import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sharedId } from '../../model/cluster-state.fixture.ts'
import { noLimits } from '../../model/growth.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import { createMachineHost, dataId, sampleOrder, webId } from './machine-host.fixture.ts'

const growth = { maximumCpus: 4, maximumMemoryMiB: 512 }
const data = { volumeId: dataId, storageId: sharedId, format: 'qcow2', sizeMiB: 1 } as const

async function growing(changes: Partial<MachineOrder> = {}) {
  const host = await createMachineHost()
  await host.start(1, { growth, ...changes })
  const order = () => host.room.keeper(webId)?.record().machine ?? sampleOrder()
  const configure = async (wanted: Partial<MachineOrder>) => {
    await host.room.keeper(webId)?.configure({ ...order(), ...wanted })
    await host.clock.advance(2_000)
  }
  return { host, configure, order, growth: () => host.living()?.growth }
}

describe('a running machine', () => {
  test('gets what it is to have, and is found with it by whoever comes next', async () => {
    const { host, configure, order, growth: has } = await growing()
    await configure({ cpus: 3, memoryMiB: 128, disks: [...sampleOrder().disks, data] })
    assert.deepEqual([has()?.cpus, has()?.memoryMiB], [3, 128])
    assert.ok(host.living()?.layers.has(dataId))
    assert.deepEqual(host.report()?.hardware?.notes, [])
    // Its process began with one processor and 64 MiB; that is what a stream to another host has to find there.
    const { present } = order()
    assert.deepEqual([present?.cpus, present?.memoryMiB, present?.volumeIds.includes(dataId)], [3, 64, false])
  })

  test('that was killed begins with all of it', async () => {
    const { host, configure, order } = await growing({ leased: false })
    await configure({ cpus: 2, memoryMiB: 128, disks: [...sampleOrder().disks, data] })
    await host.crash()
    await host.clock.advance(10_000)
    assert.equal(order().present, null)
    const { definition } = host.living() ?? {}
    assert.deepEqual([definition?.cpus, definition?.memoryMiB, definition?.disks.length], [2, 128, 2])
  })

  test('whose guest keeps its memory is told so, and asked until it gives it back', async () => {
    const { host, configure, growth: has } = await growing()
    await configure({ memoryMiB: 256 })
    const hardware = has()
    assert.ok(hardware)
    hardware.holdsOn = true
    await configure({ memoryMiB: 64 })
    const [note] = host.report()?.hardware?.notes ?? []
    assert.deepEqual([note?.what, note?.needsRestart], ['memory', false])
    assert.match(note?.why ?? '', /keeps 256 MiB/)
    hardware.holdsOn = false
    await host.clock.advance(30_000)
    assert.equal(hardware.memoryMiB, 64)
    assert.deepEqual(host.report()?.hardware?.notes, [])
  })

  test('says what has to wait for its next start', async () => {
    const { host, configure } = await growing({ growth: null })
    await configure({ cpus: 2, memoryMiB: 128 })
    const notes = host.report()?.hardware?.notes ?? []
    assert.deepEqual(
      notes.map(({ what, needsRestart }) => [what, needsRestart]),
      [
        ['cpus', true],
        ['memory', true],
      ],
    )
  })

  test('keeps a disk that its guest holds on to, and its claim', async () => {
    const { host, configure, growth: has } = await growing()
    const disks = [...sampleOrder().disks, data]
    await configure({ disks })
    const hardware = has()
    assert.ok(hardware)
    hardware.holdsOn = true
    await configure({ disks: disks.map((disk) => (disk === data ? { ...disk, isDetached: true } : disk)) })
    assert.ok(host.living()?.layers.has(dataId))
    assert.equal(host.report()?.hardware?.notes[0]?.what, 'disk')
    hardware.holdsOn = false
    await host.clock.advance(30_000)
    assert.equal(host.living()?.layers.has(dataId), false)
    assert.deepEqual(host.report()?.hardware?.disks.length, 1)
  })

  test('is limited, also from its start on', async () => {
    const limits = { ...noLimits, diskIops: 100, networkMbitPerSecond: 8 }
    const { host, growth: has } = await growing({ limits })
    await host.clock.advance(1_000)
    assert.equal(has()?.limits.diskIops, 100)
    assert.deepEqual([...host.network.limits().values()], [8])
  })
})
