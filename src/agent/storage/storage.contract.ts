/** What every storage driver promises, seen from two hosts. Each sibling's test calls `testStorage` with a world of its own. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { DialtoneError, type ErrorCode } from '../../model/dialtone-error.ts'
import { type ImageId, type LayerId, type VolumeId, vmIdSchema, volumeIdSchema } from '../../model/ids.ts'
import type { ImageFileName } from '../../model/recovery/memory-image.ts'
import type { Ownership, Storage, VolumeRequest } from './storage.ts'

/** A fresh, shared storage. */
export type StorageWorld = {
  /** The storage as this host sees it; the same driver object for the same name. */
  onHost(hostName: string): Storage
  readonly base: { readonly version: string; readonly path: string }
  readonly cgroupDirectory: string
  /** A folder for files outside of the storage. */
  readonly outside: string
  /** A process of that host opens a layer of the disk; the answer closes it. */
  holdOpen(hostName: string, volumeId: VolumeId, layerId: LayerId | null): Promise<() => Promise<void>>
  /** The hypervisor merges into the layer what lies between it and `on`. */
  mergeInto(volumeId: VolumeId, layerId: LayerId, on: LayerId | null): Promise<void>
  /** Changes the stored file of an image; undefined removes it. */
  damageImage(image: StoredFile, change: (content: Uint8Array) => Uint8Array | undefined): Promise<void>
  /** What firmware and TPM of the machine remember: the same word. They were opened before. */
  readGuestState(volumeId: VolumeId): Promise<string>
  writeGuestState(volumeId: VolumeId, state: string): Promise<void>
  /** Damages a part of the slot's block. */
  tearSlot(slot: number): Promise<void>
}

export type StoredFile = { readonly volumeId: VolumeId; readonly imageId: ImageId; readonly name: ImageFileName }

const volumeId = volumeIdSchema.parse('vol-aaaaaaaa')
const otherVolumeId = volumeIdSchema.parse('vol-bbbbbbbb')
const vmId = vmIdSchema.parse('vm-aaaaaaaa')

export function testStorage(driver: string, makeWorld: (t: TestContext) => Promise<StorageWorld>): void {
  const scenario = (statement: string, play: (world: StorageWorld) => Promise<void>) => {
    test(`${driver}: ${statement}`, async (t) => play(await makeWorld(t)))
  }

  scenario('a volume made on one host is listed and opened on another', async (world) => {
    await world.onHost('a').createVolume(fromTemplate(world))
    await world.onHost('a').createVolume({ ...empty(world), format: 'raw' })
    assert.deepEqual([...(await world.onHost('b').listVolumes())].sort(), [volumeId, otherVolumeId])
    assert.match((await world.onHost('b').openVolume(volumeId, 'qcow2', 20001)).path, /vol-aaaaaaaa\/disk\.qcow2$/)
    assert.match((await world.onHost('b').openVolume(otherVolumeId, 'raw', 20001)).path, /vol-bbbbbbbb\/disk\.raw$/)
  })

  scenario(
    'what firmware and TPM remember is made once, is seen from every host, and goes with the volume',
    async (world) => {
      await world.onHost('a').createVolume(fromTemplate(world))
      const request = { variables: world.base.path, hasTpm: true, userId: 20001 }
      const made = await world.onHost('a').openGuestState(volumeId, request)
      assert.match(made.variablesPath ?? '', /vol-aaaaaaaa\/firmware-variables\.fd$/)
      assert.match(made.tpmDirectory ?? '', /vol-aaaaaaaa\/tpm$/)
      assert.deepEqual(
        await world.onHost('b').openGuestState(volumeId, { ...request, variables: '/another/one' }),
        made,
      )
      const nothing = await world
        .onHost('a')
        .openGuestState(volumeId, { variables: null, hasTpm: false, userId: 20001 })
      assert.deepEqual(nothing, { variablesPath: null, tpmDirectory: null })
      await world.onHost('a').deleteVolume(volumeId)
      await assert.rejects(world.onHost('a').openGuestState(volumeId, request), failsWith('not-found'))
    },
  )

  scenario('making the same volume again is fine, another one under its id is refused', async (world) => {
    const storage = world.onHost('a')
    await storage.createVolume(fromTemplate(world))
    await storage.createVolume(fromTemplate(world))
    await assert.rejects(storage.createVolume({ ...fromTemplate(world), sizeMiB: 256 }), failsWith('wrong-state'))
    await assert.rejects(storage.createVolume({ ...empty(world), volumeId }), failsWith('wrong-state'))
  })

  scenario('a raw volume on a template is refused', async (world) => {
    await assert.rejects(
      world.onHost('a').createVolume({ ...fromTemplate(world), format: 'raw' }),
      failsWith('invalid-input'),
    )
  })

  scenario('a deleted volume is gone with its claims, and deleting it again is fine', async (world) => {
    await world.onHost('a').createVolume(empty(world))
    await world.onHost('a').claimVolume(otherVolumeId, ownerOn('a', 7, 0))
    await world.onHost('b').deleteVolume(otherVolumeId)
    await world.onHost('b').deleteVolume(otherVolumeId)
    assert.deepEqual(await world.onHost('a').listVolumes(), [])
    assert.equal(await world.onHost('a').readClaim(otherVolumeId), undefined)
    await assert.rejects(world.onHost('a').openVolume(otherVolumeId, 'qcow2', 20001), failsWith('not-found'))
    await assert.rejects(world.onHost('a').claimVolume(otherVolumeId, ownerOn('a', 8, 0)), failsWith('not-found'))
  })

  scenario('a volume that a process of this host has open is not deleted', async (world) => {
    await world.onHost('a').createVolume(empty(world))
    const close = await world.holdOpen('a', otherVolumeId, null)
    await assert.rejects(world.onHost('a').deleteVolume(otherVolumeId), failsWith('in-use'))
    await close()
    await world.onHost('a').deleteVolume(otherVolumeId)
  })

  scenario('the highest claim is read from every host', async (world) => {
    await world.onHost('a').createVolume(empty(world))
    assert.equal(await world.onHost('b').readClaim(otherVolumeId), undefined)
    for (const owner of [ownerOn('a', 9, 0), ownerOn('a', 9, 1), ownerOn('b', 10, 0), ownerOn('b', 10, 12)]) {
      await world.onHost(owner.hostName).claimVolume(otherVolumeId, owner)
      assert.deepEqual(await world.onHost('a').readClaim(otherVolumeId), owner)
    }
  })

  scenario('a claim may be repeated by its owner, and by nobody else', async (world) => {
    await world.onHost('a').createVolume(empty(world))
    await world.onHost('a').claimVolume(otherVolumeId, ownerOn('a', 5, 0))
    await world.onHost('a').claimVolume(otherVolumeId, ownerOn('a', 5, 0))
    await assert.rejects(world.onHost('b').claimVolume(otherVolumeId, ownerOn('b', 5, 0)), failsWith('stale-epoch'))
  })

  scenario('a claim of one boot is not repeated by the next', async (world) => {
    await world.onHost('a').createVolume(empty(world))
    const claimIn = (bootId: string | undefined) =>
      world.onHost('a').claimVolume(otherVolumeId, { ...ownerOn('a', 5, 0), bootId })
    await claimIn('first')
    await claimIn('first')
    await assert.rejects(claimIn('second'), failsWith('stale-epoch'))
    assert.equal((await world.onHost('a').readClaim(otherVolumeId))?.bootId, 'first')
  })

  scenario('a claim below the highest is stale', async (world) => {
    await world.onHost('b').createVolume(empty(world))
    await world.onHost('b').claimVolume(otherVolumeId, ownerOn('b', 5, 3))
    for (const [epoch, incarnation] of [
      [4, 9],
      [5, 2],
    ] as const) {
      const claim = world.onHost('a').claimVolume(otherVolumeId, ownerOn('a', epoch, incarnation))
      await assert.rejects(claim, failsWith('stale-epoch'))
    }
    assert.deepEqual(await world.onHost('a').readClaim(otherVolumeId), ownerOn('b', 5, 3))
  })

  scenario('of many hosts that claim the same life at once, one gets it', async (world) => {
    await world.onHost('a').createVolume(empty(world))
    const hostNames = ['a', 'b', 'c', 'd']
    const claims = hostNames.map((name) => world.onHost(name).claimVolume(otherVolumeId, ownerOn(name, 3, 0)))
    const outcomes = await Promise.allSettled(claims)
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  })

  scenario('a slot holds what another host wrote, and is empty before and after', async (world) => {
    const slot = 3
    assert.equal(await world.onHost('a').readSlot(slot), undefined)
    await world.onHost('b').writeSlot(slot, 'pill for a, term 4 ☠')
    assert.equal(await world.onHost('a').readSlot(slot), 'pill for a, term 4 ☠')
    assert.equal(await world.onHost('a').readSlot(slot + 1), undefined)
    await world.onHost('b').writeSlot(slot, '')
    assert.equal(await world.onHost('a').readSlot(slot), undefined)
  })

  scenario('a torn slot is an error and not an empty slot, until it is written anew', async (world) => {
    await world.onHost('b').writeSlot(1, 'pill')
    await world.tearSlot(1)
    await assert.rejects(world.onHost('a').readSlot(1), failsWith('storage-failed'))
    await world.onHost('b').writeSlot(1, 'again')
    assert.equal(await world.onHost('a').readSlot(1), 'again')
  })

  scenario('the usage is told in MiB', async (world) => {
    const { totalMiB, freeMiB } = await world.onHost('a').usage()
    assert.ok(freeMiB > 0 && freeMiB <= totalMiB)
  })
}

/** For `assert.rejects`: an error of the catalogue with this code. */
export function failsWith(code: ErrorCode, words = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DialtoneError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, words)
    return true
  }
}

function fromTemplate(world: StorageWorld): VolumeRequest {
  return { volumeId, format: 'qcow2', sizeMiB: 128, base: world.base, cgroupDirectory: world.cgroupDirectory }
}

function empty(world: StorageWorld): VolumeRequest {
  return { volumeId: otherVolumeId, format: 'qcow2', sizeMiB: 64, cgroupDirectory: world.cgroupDirectory }
}

function ownerOn(hostName: string, epoch: number, incarnation: number): Ownership {
  return { hostName, life: { vmId, epoch, incarnation } }
}
