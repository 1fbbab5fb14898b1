/**
 * Captures a machine's memory image while it runs: memory, devices and disks of one instant. The order keeps every acknowledged write:
 * empty overlays are made and become current before the hypervisor is told to write to them; the manifest is written last.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { refuseMemoryImages } from '../../model/guest.ts'
import { type ImageId, imageIdSchema, layerIdSchema, makeId, type VolumeId, volumeIdSchema } from '../../model/ids.ts'
import type { MachineDisk, MachineLife, MachineOrder } from '../../model/machine-order.ts'
import { presentOf } from '../../model/present-shape.ts'
import type { ImageKind, MemoryImageManifest } from '../../model/recovery/memory-image.ts'
import type { AttachedDisk, Capture, MachineShape, MemoryImageFiles, RunningMachine } from '../hypervisor/hypervisor.ts'
import type { MachinePorts } from '../machines/machine-ports.ts'
import { bootDisksOf, rootOf, shapeOf, splitPlugged, userIdOf } from './machine-shape.ts'
import { type FrozenDisk, inNewProcess, refuseRawDisks, takeInstant } from './take-instant.ts'

export type CaptureTask = {
  readonly machine: MachineOrder
  readonly life: MachineLife
  readonly kind: ImageKind
}

/** A captured instant whose memory is still on its way into a file. */
export type FrozenMachine = {
  readonly disks: readonly FrozenDisk[]
  /** Those of them that it had got while it ran, in the order of their ports. */
  readonly plugged: readonly VolumeId[]
  /** The ports of those. */
  readonly ports: readonly number[]
  readonly capture: Capture
  /** Name of the run directory that holds the stream. */
  readonly process: string
}

type RunningCapture = CaptureTask & { readonly running: RunningMachine | undefined }

/** Takes the instant; the machine runs on. On failure nothing of it is left, and the machine writes to where it wrote before. */
export async function freezeMachine({ machine, running }: RunningCapture, ports: MachinePorts): Promise<FrozenMachine> {
  if (running === undefined) throw new DialtoneError('wrong-state', `${machine.name} does not run`)
  await refuseOtherDisks(machine, running)
  return freezeWithDisks({ machine, running, disks: bootDisksOf(machine), ...(await pluggedDisks(running)) }, ports)
}

/** The same, with these disks. */
export async function freezeWithDisks(
  of: {
    readonly machine: MachineOrder
    readonly running: RunningMachine
    readonly disks: readonly MachineDisk[]
    readonly plugged: readonly VolumeId[]
    readonly ports: readonly number[]
    readonly isHeld?: boolean
  },
  ports: MachinePorts,
): Promise<FrozenMachine> {
  const { machine, running, plugged, isHeld = false } = of
  const unfit = refuseMemoryImages(machine.guest)
  if (unfit !== undefined)
    throw new DialtoneError('image-unfit', `no image of the memory of ${machine.name} is taken: ${unfit}`)
  refuseRawDisks(machine, of.disks)
  return inNewProcess(machine, ports, async (process) => {
    const instant = { machine, running, disks: of.disks, process }
    const { disks, taken: capture } = await takeInstant(instant, ports, (overlays) =>
      running.capture({ overlays, streamPath: streamIn(process, ports), isHeld }),
    )
    return { disks, plugged, ports: of.ports, capture, process }
  })
}

/** The disks that it has got while it ran, and their ports. */
export async function pluggedDisks(running: RunningMachine): Promise<Pick<FrozenMachine, 'plugged' | 'ports'>> {
  const { volumeIds, ports } = await running.plugged()
  return { plugged: volumeIds.map((id) => volumeIdSchema.parse(id)), ports }
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
  const opened: AttachedDisk[] = []
  try {
    for (const { disk, layerId, on } of scratch) {
      const request = { layerId, on, userId: userIdOf(machine), cgroupDirectory }
      const { path } = await ports.storage(disk.storageId).addLayer(disk.volumeId, request)
      opened.push({ volumeId: disk.volumeId, path, format: disk.format })
    }
    const shape = await shapeOf(
      machine,
      {
        ...splitPlugged(opened, from.frozen.plugged, from.frozen.ports),
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
    cpus: made.shape.cpus,
    memoryMiB: made.shape.memoryMiB,
    present: presentOf(machine),
    shape: ports.hypervisor.shapeOf(made.shape),
    macAddress: machine.nic.macAddress,
    address: machine.nic.address,
    disks: disks.map(({ disk, frozen }) => ({ volumeId: disk.volumeId, layerId: frozen })),
    plugged: [...made.frozen.plugged],
    ports: [...made.frozen.ports],
    files: { memory: await ports.hashFile(files.memory), state: await ports.hashFile(files.state) },
    capturedAt: capture.capturedAt.toISOString(),
    pauseMs: capture.pauseMs,
    isLive: capture.isLive,
  }
}
