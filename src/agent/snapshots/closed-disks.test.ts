/** Whatever call to the storage fails or loses its answer, the order is given again and ends as if nothing had been. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { guestProfiles } from '../../model/guest.ts'
import { layerIdSchema, snapshotIdSchema } from '../../model/ids.ts'
import type { SnapshotWish } from '../../model/snapshots/snapshot.ts'
import { createCgroups } from '../machines/host-parts.fixture.ts'
import {
  createMachineHost,
  dataId,
  type MachineHost,
  rootId,
  sampleOrder,
  webId,
} from '../machines/machine-host.fixture.ts'
import { chainOf, currentLayer, data, layerCount, root } from '../recovery/recovering-machine.fixture.ts'
import { failsWith } from '../storage/storage.contract.ts'
import type { Storage } from '../storage/storage.ts'
import {
  type ClosedPorts,
  type ClosedWork,
  revertClosedDisks,
  snapshotClosedDisks,
  tidyClosedDisks,
} from './closed-disks.ts'

const layer = (word: string) => layerIdSchema.parse(`layer-${word.repeat(8)}`)
const guest = { os: 'linux', ...guestProfiles.linux, boot: 'uefi', tpm: true } as const
const machine = sampleOrder({ disks: [root, data], guest })
const base: Omit<SnapshotWish, 'id' | 'name'> = {
  ...{ note: '', kind: 'disk', parentId: null, origin: 'user', setId: null, isProtected: false },
  ...{ sizesMiB: [64, 64], freeze: 'if-able' },
}
const wish = (word: string): SnapshotWish => ({
  ...base,
  id: snapshotIdSchema.parse(`snap-${word.repeat(8)}`),
  name: word,
})

/** The epoch is that of the task; each task names layers of its own. */
function work(epoch: number, word: string): ClosedWork {
  return {
    machine,
    life: { vmId: webId, epoch, incarnation: 0 },
    overlays: [
      { volumeId: rootId, layerId: layer(word) },
      { volumeId: dataId, layerId: layer(word) },
    ],
  }
}

function portsOf(host: MachineHost, storage: Storage = host.storage): ClosedPorts {
  const { clock, images } = host
  return { storage: () => storage, cgroups: createCgroups(host.world, []), hostName: 'ada', clock, images }
}

type Mishap = 'fails' | 'loses its answer'

/** The storage, whose nth call meets with the mishap; `isOver` says whether that has been. */
function mishapAt(storage: Storage, nth: number, mishap: Mishap): { readonly storage: Storage; isOver(): boolean } {
  let calls = 0
  const meet = async (call: () => unknown): Promise<unknown> => {
    calls += 1
    const isNow = calls === nth
    if (isNow && mishap === 'fails') throw new DialtoneError('storage-failed', 'planted')
    const answer = await call()
    if (isNow) throw new DialtoneError('storage-failed', 'planted')
    return answer
  }
  return {
    isOver: () => calls >= nth,
    storage: new Proxy(storage, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function'
          ? (...args: unknown[]) => meet(() => Reflect.apply(value, target, args))
          : value
      },
    }),
  }
}

/** Does the work with the mishap at each of its calls in turn, once more after it, and has each outcome looked at. */
async function atEachCall(
  prepare: (host: MachineHost) => Promise<void>,
  play: (ports: ClosedPorts) => Promise<unknown>,
  look: (host: MachineHost) => Promise<void>,
): Promise<void> {
  for (const mishap of ['fails', 'loses its answer'] as const) {
    for (let nth = 1; ; nth += 1) {
      const host = await createMachineHost()
      await prepare(host)
      const faulty = mishapAt(host.storage, nth, mishap)
      await play(portsOf(host, faulty.storage)).catch(() => undefined)
      await play(portsOf(host))
      await look(host)
      if (!faulty.isOver()) break
      assert.ok(nth < 200)
    }
  }
}

async function takeTwo(host: MachineHost): Promise<void> {
  for (const [index, word] of ['a', 'b'].entries()) {
    host.storageWorld.writeGuestState(rootId, word)
    await snapshotClosedDisks(work(index + 1, word), wish(word), portsOf(host))
  }
  host.storageWorld.writeGuestState(rootId, 'present')
}

describe('of a machine that is off', () => {
  test('a snapshot is the layers that were current and what firmware and TPM remembered, whatever call fails', async () => {
    await atEachCall(
      async (host) => host.storageWorld.writeGuestState(rootId, 'before'),
      (ports) => snapshotClosedDisks(work(1, 'a'), wish('a'), ports),
      async (host) => {
        const [snapshot] = await host.storage.listSnapshots(rootId)
        assert.deepEqual(
          snapshot?.disks.map(({ layerId }) => layerId),
          [null, null],
        )
        for (const volumeId of [rootId, dataId]) assert.equal(await currentLayer(host, volumeId), layer('a'))
        host.storageWorld.writeGuestState(rootId, 'after')
        await host.storage.restoreGuestState(rootId, wish('a').id)
        assert.equal(host.storageWorld.readGuestState(rootId), 'before')
      },
    )
  })

  test('a return lays all disks on the layers of the snapshot, with what was remembered then, whatever call fails', async () => {
    await atEachCall(
      takeTwo,
      async (ports) => {
        const [first] = await ports.storage(root.storageId).listSnapshots(rootId)
        assert.ok(first)
        await revertClosedDisks(work(3, 'c'), first, ports)
      },
      async (host) => {
        assert.deepEqual(await chainOf(host), [layer('c'), null])
        assert.equal(await currentLayer(host, dataId), layer('c'))
        assert.equal(host.storageWorld.readGuestState(rootId), 'a')
      },
    )
  })

  test('what nothing needs is merged and goes, whatever call fails', async () => {
    await atEachCall(
      async (host) => {
        await takeTwo(host)
        for (const word of ['a', 'b']) await host.storage.removeSnapshot(rootId, wish(word).id)
      },
      (ports) => tidyClosedDisks(work(3, 'c'), ports),
      async (host) => {
        assert.deepEqual(await chainOf(host), [layer('b'), null])
        assert.equal(await layerCount(host), 2)
      },
    )
  })

  test('nothing is done by whom a newer epoch has taken the disks from', async () => {
    const host = await createMachineHost()
    await takeTwo(host)
    const [first] = await host.storage.listSnapshots(rootId)
    assert.ok(first)
    const late = work(1, 'c')
    const attempts = [
      () => snapshotClosedDisks(late, wish('c'), portsOf(host)),
      () => revertClosedDisks(late, first, portsOf(host)),
      () => tidyClosedDisks(late, portsOf(host)),
    ]
    for (const attempt of attempts) await assert.rejects(attempt(), failsWith('stale-epoch'))
    assert.deepEqual(await chainOf(host), [layer('b'), layer('a'), null])
  })

  test('there is no memory to take, and a raw disk has no layers', async () => {
    const host = await createMachineHost()
    await assert.rejects(
      snapshotClosedDisks(work(1, 'a'), { ...wish('a'), kind: 'memory' }, portsOf(host)),
      failsWith('wrong-state', /has no memory/),
    )
    const raw = { ...work(1, 'a'), machine: { ...machine, disks: [root, { ...data, format: 'raw' as const }] } }
    await assert.rejects(snapshotClosedDisks(raw, wish('a'), portsOf(host)), failsWith('image-unfit'))
    assert.equal(await layerCount(host), 1)
  })
})
