/**
 * Captures a machine's memory image while it runs: memory, devices and disks of one instant. The order keeps every acknowledged write:
 * empty overlays are made and become current before the hypervisor is told to write to them; the manifest is written last.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { refuseMemoryImages } from '../../model/guest.ts'
import { type ImageId, imageIdSchema, type LayerId, layerIdSchema, makeId } from '../../model/ids.ts'
import type { MachineDisk, MachineLife, MachineOrder } from '../../model/machine-order.ts'
import type { ImageKind, MemoryImageManifest } from '../../model/recovery/memory-image.ts'
import type { AttachedDisk, Capture, MachineShape, MemoryImageFiles, RunningMachine } from '../hypervisor/hypervisor.ts'
import type { MachinePorts } from '../machines/machine-ports.ts'
import { bootDisksOf, shapeOf, userIdOf } from './machine-shape.ts'
import type { SpareLayer } from './spare-layer.ts'

export type CaptureTask = {
  readonly machine: MachineOrder
  readonly life: MachineLife
  readonly kind: ImageKind
}

type FrozenDisk = {
  readonly disk: MachineDisk
  /** The layer of the instant: nothing writes to it any more. */
  readonly frozen: LayerId | null
  readonly overlay: LayerId
  readonly overlayPath: string
}

/** A captured instant whose memory is still on its way into a file. */
export type FrozenMachine = {
  readonly disks: readonly FrozenDisk[]
  readonly capture: Capture
  /** Name of the run directory that holds the stream. */
  readonly process: string
}

/** Takes the instant; the machine runs on. On failure nothing of it is left, and the machine writes to where it wrote before. */
export async function freezeMachine(
  { machine, running }: CaptureTask & { readonly running: RunningMachine | undefined },
  ports: MachinePorts,
): Promise<FrozenMachine> {
  if (running === undefined) throw new DialtoneError('wrong-state', `${machine.name} does not run`)
  const unfit = refuseMemoryImages(machine.guest)
  if (unfit !== undefined)
    throw new DialtoneError('image-unfit', `no image of the memory of ${machine.name} is taken: ${unfit}`)
  if (bootDisksOf(machine).some(({ format }) => format !== 'qcow2'))
    throw new DialtoneError('image-unfit', `${machine.name} has a raw disk: only qcow2 disks can be part of an image`)
  await refuseOtherDisks(machine, running)
  const process = await ports.records.makeProcessDirectory(
    machine.vmId,
    Buffer.from(ports.randomBytes(4)).toString('hex'),
  )
  try {
    return { ...(await freeze({ machine, running }, process, ports)), process }
  } catch (error) {
    await ports.records.removeProcessDirectory(process)
    throw error
  }
}

/** Old memory over a disk that was written to since would destroy what is on it. */
async function refuseOtherDisks(machine: MachineOrder, running: RunningMachine): Promise<void> {
  const own = new Set<string>(bootDisksOf(machine).map(({ volumeId }) => volumeId))
  const others = [...(await running.diskPaths()).keys()].filter((volumeId) => !own.has(volumeId))
  if (others.length > 0)
    throw new DialtoneError(
      'image-unfit',
      `${machine.name} has ${others.join(', ')} plugged in, which would not be part of the image: it has to be stopped and started once`,
    )
}

/** Makes the instant an image that can be mapped. Returns when it is whole here and beside its root volume; leaves no half image on failure. */
export async function bakeImage(
  task: CaptureTask,
  frozen: FrozenMachine,
  ports: MachinePorts,
): Promise<MemoryImageManifest> {
  const imageId = makeId('img', imageIdSchema, ports.randomBytes(8))
  const files = await ports.images.begin(imageId)
  try {
    await frozen.capture.written
    const shape = await bake(task, { frozen, files }, ports)
    const manifest = await describe(task, { imageId, frozen, files, shape }, ports)
    await ports.images.finish(manifest)
    await keepMaster(task.machine, manifest, ports)
    return manifest
  } catch (error) {
    await ports.images.abandon(imageId)
    throw error
  } finally {
    await ports.records.removeProcessDirectory(frozen.process)
  }
}

async function keepMaster(machine: MachineOrder, manifest: MemoryImageManifest, ports: MachinePorts): Promise<void> {
  const cached = await ports.images.get(manifest.id)
  if (cached === undefined)
    throw new DialtoneError('image-corrupt', `the image ${manifest.id} changed while it was made`)
  await ports.storage(rootOf(machine).storageId).storeImage(manifest, cached.files)
}

function streamIn(process: string, { records }: MachinePorts): string {
  return join(records.processDirectory(process), 'stream')
}

/** An empty layer on each disk, current before anything writes to it; then the instant itself. */
async function freeze(
  task: { readonly machine: MachineOrder; readonly running: RunningMachine },
  process: string,
  ports: MachinePorts,
): Promise<{ readonly disks: readonly FrozenDisk[]; readonly capture: Capture }> {
  const cgroupDirectory = await ports.cgroups.makeForTools()
  const disks: FrozenDisk[] = []
  const planned = await planLayers(bootDisksOf(task.machine), process, ports)
  try {
    for (const { disk, layerId: overlay, on: frozen } of planned) {
      const storage = ports.storage(disk.storageId)
      const request = { layerId: overlay, on: frozen, userId: userIdOf(task.machine), cgroupDirectory }
      const { path } = await storage.addLayer(disk.volumeId, request)
      disks.push({ disk, frozen, overlay, overlayPath: path })
    }
    // Empty overlays have the same content as what they lie on: a crash from here on loses nothing.
    for (const { disk, overlay } of disks) await ports.storage(disk.storageId).useLayer(disk.volumeId, overlay)
    const overlays = disks.map(({ disk, overlayPath }) => ({ volumeId: disk.volumeId, path: overlayPath }))
    return { disks, capture: await task.running.capture({ overlays, streamPath: streamIn(process, ports) }) }
  } catch (error) {
    await returnToOldLayers(task.running, disks, ports).catch((failure: unknown) =>
      ports.logger.warn('capture.layers-not-returned', { vmId: task.machine.vmId, error: failure }),
    )
    throw error
  }
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

/** The stream becomes files that can be mapped, by a process that sees the disks of the instant and writes to throw-away layers. */
async function bake(
  { machine, life }: CaptureTask,
  from: { readonly frozen: FrozenMachine; readonly files: MemoryImageFiles },
  ports: MachinePorts,
): Promise<MachineShape> {
  const cgroupDirectory = await ports.cgroups.makeForTools()
  const scratch = from.frozen.disks.map(({ disk, frozen: on }) => ({
    disk,
    on,
    layerId: makeId('layer', layerIdSchema, ports.randomBytes(8)),
  }))
  await ports.records.writeSpareLayers(from.frozen.process, scratch)
  const disks: AttachedDisk[] = []
  try {
    for (const { disk, layerId, on } of scratch) {
      const request = { layerId, on, userId: userIdOf(machine), cgroupDirectory }
      const { path } = await ports.storage(disk.storageId).addLayer(disk.volumeId, request)
      disks.push({ volumeId: disk.volumeId, path, format: disk.format })
    }
    const shape = await shapeOf(
      machine,
      {
        disks,
        // Baking touches no tap.
        tapName: 'none',
        runDirectory: ports.records.processDirectory(from.frozen.process),
        cgroupDirectory,
        generationId: randomUUID(),
        life,
      },
      ports,
    )
    await ports.hypervisor.bake(shape, streamIn(from.frozen.process, ports), from.files)
    return shape
  } finally {
    for (const { disk, layerId } of scratch) await ports.storage(disk.storageId).removeLayer(disk.volumeId, layerId)
  }
}

async function describe(
  { machine, kind }: CaptureTask,
  made: {
    readonly imageId: ImageId
    readonly frozen: FrozenMachine
    readonly files: MemoryImageFiles
    readonly shape: MachineShape
  },
  ports: MachinePorts,
): Promise<MemoryImageManifest> {
  const { files } = made
  const { capture, disks } = made.frozen
  const { version: qemuVersion } = await ports.hypervisor.facts()
  return {
    formatVersion: 1,
    id: made.imageId,
    kind,
    vmId: machine.vmId,
    vmName: machine.name,
    hardware: { ...machine.hardware, qemuVersion },
    cpus: machine.cpus,
    memoryMiB: machine.memoryMiB,
    shape: ports.hypervisor.shapeOf(made.shape),
    macAddress: machine.nic.macAddress,
    address: machine.nic.address,
    disks: disks.map(({ disk, frozen }) => ({ volumeId: disk.volumeId, layerId: frozen })),
    files: { memory: await ports.hashFile(files.memory), state: await ports.hashFile(files.state) },
    capturedAt: capture.capturedAt.toISOString(),
    pauseMs: capture.pauseMs,
    isLive: capture.isLive,
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

export function rootOf(machine: MachineOrder): MachineDisk {
  const [root] = machine.disks
  if (root === undefined) throw new DialtoneError('internal', `${machine.name} has no root disk`)
  return root
}
