/**
 * A disk of a running machine moves to another storage of its host. While it is copied, any failure leaves the machine on the disk that it
 * has. For the change of it the machine stands still, which is written down first: from then on nothing of it runs by itself, whatever
 * dies, until the leader says which of the two is its disk. So nothing is ever written to one of them alone that the other would need.
 */
import type { VolumeMirror } from '../../model/agent-protocol/volume-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { StorageId, VolumeId } from '../../model/ids.ts'
import type { MachineDisk } from '../../model/machine-order.ts'
import type { DiskMirror, MirrorRequest } from '../hypervisor/disk-mirror.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { guardMachine } from '../machines/guard-machine.ts'
import { become, enqueue, type Keeping, lifeOf, writeRecord } from '../machines/keeping.ts'
import { recoverDead } from '../machines/machine-life.ts'
import { letImagesGo } from '../recovery/let-images-go.ts'
import { bootDisksOf, diskOf, openDisk } from '../recovery/machine-shape.ts'
import { captureAfterMove } from '../recovery/serve-after-start.ts'
import { currentLayerOf } from '../recovery/take-instant.ts'
import { pauseWatch } from '../recovery/watch-service.ts'
import { goOn } from './departure.ts'

const sameWithinMs = 5_000
const lookAgainMs = 20

export type VolumeTarget = { readonly volumeId: VolumeId; readonly toStorageId: StorageId }

/** Begins to copy it, or follows. No image is captured and no disk comes or goes until it has moved, or stays. */
export function mirrorVolume(
  keeping: Keeping,
  { isOnSameBase, ...wish }: VolumeTarget & { readonly isOnSameBase: boolean },
): Promise<VolumeMirror> {
  return enqueue(keeping, async () => {
    const { running, phase, record, image } = keeping
    const { name } = record.machine
    if (running === undefined || phase !== 'running' || keeping.isReleased)
      throw new DialtoneError('wrong-state', `${name} is ${phase}: only a running machine's disk is mirrored`)
    if (keeping.volumeMirror === undefined && (image.isCapturing || keeping.departure !== undefined))
      throw new DialtoneError('in-use', `${name} is being captured or moved: try again in a moment`)
    image.isCapturing = true
    keeping.volumeMirror ??= await begin(keeping, running, { ...wish, isOnSameBase })
    const { isReady, mirror } = keeping.volumeMirror
    return { isReady: isReady(), ...(await mirror.progress()) }
  })
}

/** Resolves when it stands still with both the same. Doing it twice is once. */
export function holdVolume(keeping: Keeping, { toStorageId }: VolumeTarget): Promise<void> {
  return enqueue(keeping, async () => {
    const { running, phase, record, volumeMirror } = keeping
    if (record.handedOverTo === toStorageId && phase === 'frozen') return
    if (running === undefined || phase !== 'running' || keeping.isReleased || volumeMirror?.isReady() !== true)
      throw new DialtoneError('wrong-state', `${record.machine.name} is ${phase}, or its disk is not the same on both`)
    pauseWatch(keeping)
    await writeRecord(keeping, { handedOverTo: toStorageId })
    await running.pause()
    become(keeping, 'frozen', 'stands still: its disk moves to another storage')
    await untilSame(keeping, volumeMirror.mirror)
    // What came to the copy last is made durable, too.
    await running.pause()
  })
}

/** The copy is its disk now, and it goes on; one that has died meanwhile is brought back with it. Doing it twice is once. */
export function switchVolume(keeping: Keeping, { volumeId, toStorageId }: VolumeTarget): Promise<void> {
  return enqueue(keeping, async () => {
    const { record, ports, running } = keeping
    const old = diskOf(record.machine, volumeId)
    if (old === undefined) throw new DialtoneError('not-found', `${record.machine.name} has no volume ${volumeId}`)
    if (old.storageId === toStorageId && record.handedOverTo === null) return
    const disk = { ...old, storageId: toStorageId }
    if (running !== undefined) {
      const mirror = await running.mirrorDisk(await requestOf(keeping, disk, 'whole'))
      await mirror.switchOver()
    }
    const { hostName, bootId } = ports
    await ports.storage(toStorageId).claimVolume(volumeId, { hostName, life: lifeOf(keeping), bootId })
    const disks = record.machine.disks.map((one) => (one.volumeId === volumeId ? disk : one))
    const isOther = (layer: { readonly volumeId: VolumeId }) => layer.volumeId !== volumeId
    await writeRecord(keeping, {
      machine: { ...record.machine, disks },
      layers: [...record.layers.filter(isOther), { volumeId, layerId: null }],
      unneededLayers: record.unneededLayers.filter(isOther),
      handedOverTo: null,
    })
    if (bootDisksOf(record.machine).some((one) => one.volumeId === volumeId)) await letImagesGo(keeping)
    await endMirror(keeping, running)
    if (running !== undefined && keeping.running === running)
      captureAfterMove(keeping, running).catch((error: unknown) =>
        ports.logger.warn('image.not-captured', { vmId: keeping.vmId, error }),
      )
  })
}

/** It stays where it is, and the machine goes on with it; one that has died meanwhile is brought back. Doing it twice is fine. */
export function keepVolume(keeping: Keeping, { volumeId, toStorageId }: VolumeTarget): Promise<void> {
  return enqueue(keeping, async () => {
    const { record, running } = keeping
    const disk = diskOf(record.machine, volumeId)
    if (disk === undefined || disk.storageId === toStorageId) return
    if (running !== undefined) {
      // The copy may not even have been made.
      const request = await requestOf(keeping, { ...disk, storageId: toStorageId }, 'whole').catch(() => undefined)
      if (request !== undefined) await running.endMirror(request)
    }
    if (record.handedOverTo === toStorageId) await writeRecord(keeping, { handedOverTo: null })
    await endMirror(keeping, running)
  })
}

/** Throws when a write that did not reach the copy has ended the mirror, or too much is left. */
async function untilSame({ ports }: Keeping, mirror: DiskMirror): Promise<void> {
  const givesUpAtMs = ports.clock.bootTimeMs() + sameWithinMs
  for (;;) {
    const { copiedBytes, totalBytes } = await mirror.progress()
    if (copiedBytes === totalBytes) return
    if (ports.clock.bootTimeMs() > givesUpAtMs)
      throw new DialtoneError('deadline-exceeded', 'the copy of its disk does not become the same')
    await ports.clock.sleep(lookAgainMs)
  }
}

async function endMirror(keeping: Keeping, running: RunningMachine | undefined): Promise<void> {
  const { record, phase } = keeping
  if (keeping.volumeMirror !== undefined) keeping.image.isCapturing = false
  keeping.volumeMirror = undefined
  if (keeping.isReleased) return
  if (running === undefined) {
    if (phase === 'frozen' && record.wanted === 'running')
      await recoverDead(keeping, 'its process died while its disk was being moved')
    return
  }
  if (record.machine.leased) await guardMachine(keeping, false)
  await goOn(keeping, running)
}

async function begin(
  keeping: Keeping,
  running: RunningMachine,
  { volumeId, toStorageId, isOnSameBase }: VolumeTarget & { readonly isOnSameBase: boolean },
): Promise<NonNullable<Keeping['volumeMirror']>> {
  const { record, ports } = keeping
  const disk = diskOf(record.machine, volumeId)
  if (disk === undefined) throw new DialtoneError('not-found', `${record.machine.name} has no volume ${volumeId}`)
  try {
    const isOneLayer = disk.format === 'qcow2' && (await currentLayerOf(disk, ports)) === null
    const scope = isOnSameBase && isOneLayer ? 'top-layer' : 'whole'
    const mirror = await running.mirrorDisk(await requestOf(keeping, { ...disk, storageId: toStorageId }, scope))
    let isReady = false
    mirror.ready.then(
      () => {
        isReady = true
      },
      () => undefined,
    )
    return { mirror, isReady: () => isReady }
  } catch (error) {
    keeping.image.isCapturing = false
    throw error
  }
}

async function requestOf(
  { record, ports }: Keeping,
  disk: MachineDisk,
  scope: MirrorRequest['scope'],
): Promise<MirrorRequest & { readonly target: { readonly kind: 'file' } }> {
  const opened = await openDisk(record.machine, disk, ports)
  return { volumeId: disk.volumeId, target: { kind: 'file', disk: opened }, scope }
}
