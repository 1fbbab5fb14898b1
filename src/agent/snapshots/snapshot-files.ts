/** A snapshot on the storages that its disks are on: written last on each, removed from each. */
import type { SnapshotPlace } from '../../model/agent-protocol/snapshot-orders.ts'
import { hasStateBesideDisk } from '../../model/guest.ts'
import type { StorageId, VolumeId } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import type { Snapshot, SnapshotDisk, SnapshotWish } from '../../model/snapshots/snapshot.ts'
import type { MachinePorts } from '../machines/machine-ports.ts'
import { rootOf } from '../recovery/machine-shape.ts'
import type { FrozenDisk } from '../recovery/take-instant.ts'

type Ports = Pick<MachinePorts, 'storage'>

/** What was found out when it was taken. */
type TakenAs = Pick<Snapshot, 'consistency' | 'imageId' | 'wasRunning' | 'pauseMs' | 'takenAt'>

export function describeSnapshot(
  machine: MachineOrder,
  wish: SnapshotWish,
  taken: TakenAs & { readonly disks: readonly Pick<FrozenDisk, 'disk' | 'frozen'>[] },
): Snapshot {
  const { id, name, note, kind, parentId, origin, setId, isProtected } = wish
  const { consistency, imageId, wasRunning, pauseMs, takenAt } = taken
  const { cpus, memoryMiB, hardware, templateVersion } = machine
  return {
    formatVersion: 1,
    ...{ id, vmId: machine.vmId, name, note, kind, consistency, parentId },
    disks: taken.disks.map(({ disk, frozen }, index) => ({
      volumeId: disk.volumeId,
      storageId: disk.storageId,
      layerId: frozen,
      sizeMiB: wish.sizesMiB[index] ?? 1,
    })),
    imageId,
    machine: { name: machine.name, cpus, memoryMiB, hardware, templateVersion },
    ...{ wasRunning, takenAt, pauseMs, origin, setId, isProtected },
  }
}

/** On the root's storage last: there it is looked for. */
export async function storeSnapshot(snapshot: Snapshot, ports: Ports): Promise<void> {
  for (const { storageId, volumeId } of placesOf(snapshot.disks).toReversed())
    await ports.storage(storageId).storeSnapshot(volumeId, snapshot)
}

/** What its firmware and TPM remember now, for a snapshot that is stored after it. The machine stands still, or is off. */
export async function keepGuestState(machine: MachineOrder, { id }: Pick<SnapshotWish, 'id'>, ports: Ports) {
  if (!hasStateBesideDisk(machine.guest)) return
  const { storageId, volumeId } = rootOf(machine)
  await ports.storage(storageId).keepGuestState(volumeId, id)
}

/** They remember what they did at the snapshot: when the machine's disks are claimed and before it starts. */
export async function restoreGuestState(machine: MachineOrder, { id }: Pick<Snapshot, 'id'>, ports: Ports) {
  if (!hasStateBesideDisk(machine.guest)) return
  const { storageId, volumeId } = rootOf(machine)
  await ports.storage(storageId).restoreGuestState(volumeId, id)
}

/** From the root's storage first, with its image, and with images of snapshots that broke off. What is gone already is fine. */
export async function removeSnapshot(
  { id, disks }: SnapshotPlace,
  ports: Pick<MachinePorts, 'storage' | 'images'>,
): Promise<void> {
  const [root] = disks
  for (const { storageId, volumeId } of placesOf(disks)) await ports.storage(storageId).removeSnapshot(volumeId, id)
  if (root === undefined) return
  const storage = ports.storage(root.storageId)
  const kept = new Set((await storage.listSnapshots(root.volumeId)).map(({ imageId }) => imageId))
  for (const image of await storage.listImages(root.volumeId)) {
    if (image.kind !== 'snapshot' || kept.has(image.id)) continue
    // A living process that has it mapped keeps it in its memory.
    await ports.images.remove(image.id, { isForced: true })
    await storage.removeImage(root.volumeId, image.id)
    // Its layers were those of the snapshot, which may never have been written.
    for (const { volumeId, layerId } of image.disks)
      if (layerId !== null) await storage.letGoOfLayers(volumeId, [layerId])
  }
}

export async function findSnapshot(
  machine: MachineOrder,
  { id }: Pick<SnapshotWish, 'id'>,
  ports: Ports,
): Promise<Snapshot | undefined> {
  const { storageId, volumeId } = rootOf(machine)
  return (await ports.storage(storageId).listSnapshots(volumeId)).find((snapshot) => snapshot.id === id)
}

/** The images that recoveries would resume are of a present that is given up. */
export async function removeRecoveryImages(
  machine: MachineOrder,
  ports: Pick<MachinePorts, 'storage' | 'images'>,
): Promise<void> {
  const { storageId, volumeId } = rootOf(machine)
  const storage = ports.storage(storageId)
  for (const { id, kind } of await storage.listImages(volumeId)) {
    if (kind !== 'warm' && kind !== 'checkpoint') continue
    await ports.images.remove(id, { isForced: true })
    await storage.removeImage(volumeId, id)
  }
}

/** Of each storage the first of the disks there. */
function placesOf(disks: SnapshotPlace['disks']): readonly Pick<SnapshotDisk, 'storageId' | 'volumeId'>[] {
  const first = new Map<StorageId, VolumeId>()
  for (const { storageId, volumeId } of disks) if (!first.has(storageId)) first.set(storageId, volumeId)
  return [...first].map(([storageId, volumeId]) => ({ storageId, volumeId }))
}
