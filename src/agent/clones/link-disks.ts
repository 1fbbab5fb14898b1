/** New volumes that begin with layers of a machine's disks, while it runs here. Nothing is merged meanwhile. */
import type { DiskLink } from '../../model/agent-protocol/clone-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { SnapshotId } from '../../model/ids.ts'
import { enqueue, type Keeping } from '../machines/keeping.ts'
import type { MachinePorts } from '../machines/machine-ports.ts'
import { userIdOfNumber } from '../recovery/machine-shape.ts'
import { stopTidying } from '../recovery/tidy-layers.ts'

export type LinkWish = {
  /** Of the new machine. */
  readonly number: number
  readonly links: readonly DiskLink[]
  readonly snapshotId: SnapshotId
}

export function linkRunningDisks(keeping: Keeping, wish: LinkWish): Promise<void> {
  return enqueue(keeping, async () => {
    const { image, record, running, ports } = keeping
    if (running === undefined || keeping.isReleased)
      throw new DialtoneError('in-use', `${record.machine.name} has no process here: its disks may be another host’s`)
    if (image.isCapturing)
      throw new DialtoneError('in-use', `${record.machine.name} is being captured or moved: try again in a moment`)
    image.isCapturing = true
    try {
      await stopTidying(keeping)
      await linkDisks(wish, ports)
    } finally {
      image.isCapturing = false
    }
  })
}

/** What firmware remembered goes with the root disk. */
export async function linkDisks(
  { number, links, snapshotId }: LinkWish,
  { storage, cgroups }: Pick<MachinePorts, 'storage' | 'cgroups'>,
): Promise<void> {
  const cgroupDirectory = await cgroups.makeForTools()
  const linked = await Promise.allSettled(
    links.map(({ storageId, fromVolumeId, layerId, volumeId, overlay }, index) => {
      const from = { volumeId: fromVolumeId, layerId, snapshotId: index === 0 ? snapshotId : null }
      return storage(storageId).linkVolume({ volumeId, from, overlay, userId: userIdOfNumber(number), cgroupDirectory })
    }),
  )
  // None is still being made when this fails.
  for (const each of linked) if (each.status === 'rejected') throw each.reason
}
