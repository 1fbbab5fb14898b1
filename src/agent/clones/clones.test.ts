/** Clones by disks on their host: what their guest is told, and how their disks are linked while the origin runs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedId, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { layerIdSchema, snapshotIdSchema } from '../../model/ids.ts'
import { createMachineHost, type MachineHost, rootId } from '../machines/machine-host.fixture.ts'
import { keeperOf } from '../recovery/recovering-machine.fixture.ts'

const cloneRoot = volumeIdOf('cloneroot')
const [frozen, overlay] = [layerIdSchema.parse('layer-aaaaaaaa'), layerIdSchema.parse('layer-bbbbbbbb')]
const snapshotId = snapshotIdSchema.parse('snap-aaaaaaaa')

/** What the guest is told, with a guest that hears nothing at first. */
function listen(host: MachineHost, deafTimes: number): string[] {
  const { guests } = host.world
  const told: string[] = []
  let deaf = deafTimes
  host.world.guests = {
    ...guests,
    resident(machine, request) {
      if (request.do !== 'become') return guests.resident(machine, request)
      if ((deaf -= 1) >= 0) return 'silent'
      told.push(`${request.name} ${request.macAddress}`)
      return guests.resident(machine, request)
    },
  }
  return told
}

test('the guest of a clone is told once who it is, as soon as it hears, and not again after it has died', async () => {
  const host = await createMachineHost()
  const told = listen(host, 3)
  await host.start(1, { isUntoldClone: true, leased: false })
  assert.equal(host.report()?.isUntold, true)
  await host.clock.advance(60_000)
  assert.deepEqual([told, host.report()?.isUntold], [['web 52:54:00:00:00:07'], undefined])
  await host.crash()
  await host.clock.advance(60_000)
  assert.equal(told.length, 1)
})

test('a guest that was not told when its agent died is told by the next one; any other machine is told nothing', async () => {
  const host = await createMachineHost()
  const told = listen(host, 1)
  await host.start(1, { isUntoldClone: true, leased: false })
  await host.restartAgent()
  await host.clock.advance(60_000)
  assert.equal(told.length, 1)
  const other = await createMachineHost()
  const nothing = listen(other, 0)
  await other.start(1, { leased: false })
  await other.clock.advance(60_000)
  assert.deepEqual(nothing, [])
})

test('disks are linked in turn while the machine runs, and not once it was let go of', async () => {
  const host = await createMachineHost()
  await host.start(1, { leased: false })
  const { storage } = host
  await storage.addLayer(rootId, { layerId: frozen, on: null, userId: 20007, cgroupDirectory: '/tools' })
  await storage.useLayer(rootId, frozen)
  const link = { storageId: sharedId, fromVolumeId: rootId, layerId: null, volumeId: cloneRoot, overlay }
  const wish = { number: 8, links: [link], snapshotId }
  await keeperOf(host).linkDisks(wish)
  await keeperOf(host).linkDisks(wish)
  assert.deepEqual(
    (await storage.listLayers(cloneRoot)).map(({ layerId }) => layerId),
    [null, overlay],
  )
  await host.release(1)
  await assert.rejects(async () => keeperOf(host).linkDisks(wish))
})
