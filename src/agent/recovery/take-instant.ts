/**
 * The disks of one instant of a machine that runs. The order keeps every acknowledged write: empty overlays are made and become current
 * before the hypervisor is told to write to them.
 */
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type LayerId, layerIdSchema, makeId } from '../../model/ids.ts'
import type { MachineDisk, MachineOrder } from '../../model/machine-order.ts'
import type { CaptureRequest, RunningMachine } from '../hypervisor/hypervisor.ts'
import type { MachinePorts } from '../machines/machine-ports.ts'
import { userIdOf } from './machine-shape.ts'
import type { SpareLayer } from './spare-layer.ts'

export type FrozenDisk = {
  readonly disk: MachineDisk
  /** The layer of the instant: nothing writes to it any more. */
  readonly frozen: LayerId | null
  readonly overlay: LayerId
  readonly overlayPath: string
  /** The machine has it open. */
  readonly isOpen: boolean
}

export type InstantOf = {
  readonly machine: MachineOrder
  readonly running: RunningMachine
  readonly disks: readonly MachineDisk[]
  /** Name of a run directory, in which is written down what is being made. */
  readonly process: string
}

/**
 * An empty layer on each disk; then the instant itself, which `take` takes of those that the machine has open. On failure the machine writes
 * to where it wrote before.
 */
export async function takeInstant<Taken>(
  of: InstantOf,
  ports: MachinePorts,
  take: (overlays: CaptureRequest['overlays']) => Promise<Taken>,
): Promise<{ readonly disks: readonly FrozenDisk[]; readonly taken: Taken }> {
  const cgroupDirectory = await ports.cgroups.makeForTools()
  const disks: FrozenDisk[] = []
  const planned = await planLayers(of.disks, of.process, ports)
  const open = await of.running.diskPaths()
  try {
    const added = await Promise.allSettled(
      planned.map(async ({ disk, layerId: overlay, on: frozen }) => {
        const request = { layerId: overlay, on: frozen, userId: userIdOf(of.machine), cgroupDirectory }
        const { path } = await ports.storage(disk.storageId).addLayer(disk.volumeId, request)
        return { disk, frozen, overlay, overlayPath: path, isOpen: open.has(disk.volumeId) }
      }),
    )
    for (const each of added) if (each.status === 'fulfilled') disks.push(each.value)
    for (const each of added) if (each.status === 'rejected') throw each.reason
    // Empty overlays have the same content as what they lie on: a crash from here on loses nothing.
    for (const { disk, overlay } of disks) await ports.storage(disk.storageId).useLayer(disk.volumeId, overlay)
    const overlays = disks
      .filter(({ isOpen }) => isOpen)
      .map(({ disk, overlayPath }) => ({ volumeId: disk.volumeId, path: overlayPath }))
    return { disks, taken: await take(overlays) }
  } catch (error) {
    await returnToOldLayers(of.running, disks, ports).catch((failure: unknown) =>
      ports.logger.warn('capture.layers-not-returned', { vmId: of.machine.vmId, error: failure }),
    )
    throw error
  }
}

/** Works in a run directory of its own, which is gone when the work fails. */
export async function inNewProcess<Result>(
  { vmId }: MachineOrder,
  ports: MachinePorts,
  work: (process: string) => Promise<Result>,
): Promise<Result> {
  const suffix = Buffer.from(ports.randomBytes(4)).toString('hex')
  const process = await ports.records.makeProcessDirectory(vmId, suffix)
  try {
    return await work(process)
  } catch (error) {
    await ports.records.removeProcessDirectory(process)
    throw error
  }
}

export function refuseRawDisks({ name }: MachineOrder, disks: readonly MachineDisk[]): void {
  if (disks.some(({ format }) => format !== 'qcow2'))
    throw new DialtoneError(
      'image-unfit',
      `${name} has a raw disk: only qcow2 disks can be part of an image or a snapshot`,
    )
}

/** A new layer on each disk. Written down before any is made: the next agent removes those that nothing was written to. */
async function planLayers(
  disks: readonly MachineDisk[],
  process: string,
  ports: MachinePorts,
): Promise<readonly SpareLayer[]> {
  const planned: SpareLayer[] = []
  for (const disk of disks) {
    const layerId = makeId('layer', layerIdSchema, ports.randomBytes(8))
    planned.push({ disk, layerId, on: await currentLayerOf(disk, ports) })
  }
  await ports.records.writeSpareLayers(process, planned)
  return planned
}

/** What the running machine does not write to must not stay current. If it is gone, what it wrote last is under the empty overlay. */
async function returnToOldLayers(
  running: RunningMachine,
  disks: readonly FrozenDisk[],
  ports: MachinePorts,
): Promise<void> {
  const paths = await running.diskPaths()
  for (const { disk, frozen, overlay, overlayPath } of disks) {
    const storage = ports.storage(disk.storageId)
    const path = paths.get(disk.volumeId)
    if (path === undefined || path === overlayPath) continue
    await storage.useLayer(disk.volumeId, frozen)
    await storage.removeLayer(disk.volumeId, overlay)
  }
}

export async function currentLayerOf(
  { storageId, volumeId }: MachineDisk,
  ports: MachinePorts,
): Promise<LayerId | null> {
  const layers = await ports.storage(storageId).listLayers(volumeId)
  const current = layers.find((layer) => layer.isCurrent)
  if (current === undefined) throw new DialtoneError('storage-failed', `volume ${volumeId} has no current layer`)
  return current.layerId
}
