/**
 * Work on the disks of a machine that runs nowhere, as the leader has made sure. The host that does it claims them first, under an epoch of
 * its own: whoever holds an older one has lost them. New layers have the ids that the order gives, so that it may be repeated anywhere.
 */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { LayerId, VolumeId } from '../../model/ids.ts'
import type { MachineDisk, MachineLife, MachineOrder } from '../../model/machine-order.ts'
import type { Snapshot, SnapshotWish } from '../../model/snapshots/snapshot.ts'
import type { MachinePorts } from '../machines/machine-ports.ts'
import { diskOf, userIdOf } from '../recovery/machine-shape.ts'
import { refuseRawDisks } from '../recovery/take-instant.ts'
import { layeredDisksOf } from '../recovery/tidy-layers.ts'
import { planTidy } from '../storage/plan-tidy.ts'
import {
  describeSnapshot,
  findSnapshot,
  keepGuestState,
  removeRecoveryImages,
  restoreGuestState,
  storeSnapshot,
} from './snapshot-files.ts'

export type ClosedWork = {
  readonly machine: MachineOrder
  readonly life: MachineLife | null
  readonly overlays: readonly { readonly volumeId: VolumeId; readonly layerId: LayerId }[]
}

/** Each round leaves fewer layers; a disk is never so deep. */
const roundsAtMost = 64

export type ClosedPorts = Pick<MachinePorts, 'storage' | 'cgroups' | 'hostName' | 'clock' | 'images'>

export async function snapshotClosedDisks(work: ClosedWork, wish: SnapshotWish, ports: ClosedPorts): Promise<Snapshot> {
  const { machine } = work
  const present = await findSnapshot(machine, wish, ports)
  if (present !== undefined) return present
  if (wish.kind === 'memory')
    throw new DialtoneError('wrong-state', `${machine.name} does not run: it has no memory to take`)
  refuseRawDisks(machine, machine.disks)
  await claim(work, ports)
  const disks = []
  for (const disk of machine.disks) {
    const layers = await ports.storage(disk.storageId).listLayers(disk.volumeId)
    const overlay = overlayOf(work, disk)
    const current = layers.find(({ isCurrent }) => isCurrent)
    // Done again: the new layer is current already.
    const frozen = (current?.layerId === overlay ? current.on : current?.layerId) ?? null
    await layOn(work, { disk, overlay, on: frozen }, ports)
    disks.push({ disk, frozen })
  }
  await keepGuestState(machine, wish, ports)
  const takenAt = ports.clock.wallTime().toISOString()
  const taken = { consistency: 'stopped', imageId: null, wasRunning: false, pauseMs: 0, takenAt, disks } as const
  const snapshot = describeSnapshot(machine, wish, taken)
  await storeSnapshot(snapshot, ports)
  return snapshot
}

/** What was there until now is kept for some days, as after a recovery. */
export async function revertClosedDisks(work: ClosedWork, snapshot: Snapshot, ports: ClosedPorts): Promise<void> {
  const { machine } = work
  await claim(work, ports)
  await removeRecoveryImages(machine, ports)
  await restoreGuestState(machine, snapshot, ports)
  for (const { volumeId, layerId: on } of snapshot.disks) {
    const disk = diskOf(machine, volumeId)
    if (disk !== undefined) await layOn(work, { disk, overlay: overlayOf(work, disk), on }, ports)
  }
}

/** Until nothing is left that could be merged or removed. */
export async function tidyClosedDisks(work: Omit<ClosedWork, 'overlays'>, ports: ClosedPorts): Promise<void> {
  await claim(work, ports)
  const cgroupDirectory = await ports.cgroups.makeForTools()
  for (const { storageId, volumeId } of layeredDisksOf(work.machine)) {
    const storage = ports.storage(storageId)
    for (let round = 0; round < roundsAtMost; round += 1) {
      const { removals, merges } = planTidy(await storage.listLayers(volumeId))
      const [merge] = merges
      for (const layerId of removals) await storage.removeLayer(volumeId, layerId)
      if (merge !== undefined)
        await storage.mergeClosedLayers(volumeId, { into: merge.into, on: merge.on, cgroupDirectory })
      if (merge === undefined && removals.length === 0) break
    }
  }
}

async function claim({ machine, life }: Omit<ClosedWork, 'overlays'>, ports: ClosedPorts): Promise<void> {
  if (life === null) return
  for (const { storageId, volumeId } of machine.disks)
    await ports.storage(storageId).claimVolume(volumeId, { hostName: ports.hostName, life })
}

/** Let go of from the start: if nobody comes to use it, it goes. */
async function layOn(
  { machine }: ClosedWork,
  { disk, overlay, on }: { readonly disk: MachineDisk; readonly overlay: LayerId; readonly on: LayerId | null },
  ports: ClosedPorts,
): Promise<void> {
  const { volumeId } = disk
  const storage = ports.storage(disk.storageId)
  const cgroupDirectory = await ports.cgroups.makeForTools()
  await storage.addLayer(volumeId, { layerId: overlay, on, userId: userIdOf(machine), cgroupDirectory })
  await storage.letGoOfLayers(volumeId, [overlay])
  await storage.useLayer(volumeId, overlay)
}

function overlayOf({ overlays }: ClosedWork, { volumeId }: MachineDisk): LayerId {
  const layerId = overlays.find((overlay) => overlay.volumeId === volumeId)?.layerId
  if (layerId === undefined) throw new DialtoneError('invalid-input', `the order names no layer for ${volumeId}`)
  return layerId
}
