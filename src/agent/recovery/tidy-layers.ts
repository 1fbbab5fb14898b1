/**
 * Keeps the trees of layers of a machine's disks small while it runs: what nothing needs is merged into the layer above it, at a bounded
 * rate, or goes. Which layers are needed, and which were let go of, is written on the storage: whatever dies, the next look goes on.
 */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { LayerId } from '../../model/ids.ts'
import type { MachineDisk, MachineOrder } from '../../model/machine-order.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { type Keeping, writeRecord } from '../machines/keeping.ts'
import { type LayerMerge, planTidy } from '../storage/plan-tidy.ts'
import { diskOf } from './machine-shape.ts'

/** How long the disk that a recovery replaced stays, and how many of them at the most. */
const replacedKeptMs = 3 * 86_400_000
const replacedKept = 4
/** What copying may take of the storage from the machines that work on it. */
const bytesPerSecond = 96 * 2 ** 20
/** Layers that nothing needs any more are looked for so often, and once it has had a moment. */
const tidyAfterMs = 2_000
const tidyEveryMs = 60_000
/** Each round leaves fewer layers; a disk is never so deep. */
const roundsAtMost = 64

/** Looks now, unless that is under way; resolves when nothing is left to do, or it was called off. Throws what it broke on. */
export function tidyLayers(keeping: Keeping): Promise<void> {
  if (keeping.tidying !== undefined) return keeping.tidying.over
  const controller = new AbortController()
  const over = tidyAll(keeping, controller.signal).finally(() => {
    if (keeping.tidying?.controller === controller) keeping.tidying = undefined
  })
  keeping.tidying = { controller, over, progress: 'looks at its layers' }
  over.catch(() => undefined)
  return over
}

/** Whoever changes the layers of a machine that runs calls this first: resolves when nobody else does. */
export async function stopTidying({ tidying }: Keeping): Promise<void> {
  tidying?.controller.abort()
  await tidying?.over.catch(() => undefined)
}

/** As long as it runs here. While an image is captured, or the machine moves, its layers are left as they are. */
export async function keepTidy(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const { ports, vmId } = keeping
  for (let waitMs = tidyAfterMs; ; waitMs = tidyEveryMs) {
    await ports.clock.sleep(waitMs)
    if (keeping.running !== machine || keeping.isReleased) return
    if (keeping.phase !== 'running' || keeping.image.isCapturing) continue
    await tidyLayers(keeping).catch((error: unknown) => ports.logger.info('layers.not-tidied', { vmId, error }))
  }
}

async function tidyAll(keeping: Keeping, signal: AbortSignal): Promise<void> {
  await dropReplaced(keeping)
  await dropUnneeded(keeping)
  for (const disk of layeredDisksOf(keeping.record.machine)) await tidyDisk(keeping, disk, signal)
}

async function tidyDisk(keeping: Keeping, disk: MachineDisk, signal: AbortSignal): Promise<void> {
  const { ports, vmId } = keeping
  const storage = ports.storage(disk.storageId)
  const failed = new Set<LayerId>()
  for (let round = 0; round < roundsAtMost; round += 1) {
    if (signal.aborted) return
    const { removals, merges } = planTidy(await storage.listLayers(disk.volumeId))
    const removal = removals.find((layerId) => !failed.has(layerId))
    const merge = merges.find(({ into }) => !failed.has(into))
    const next = removal ?? merge?.into
    if (next === undefined) return
    try {
      if (removal !== undefined) {
        await keeping.running?.closeLeftLayers(disk.volumeId)
        await storage.removeLayer(disk.volumeId, removal)
      }
      if (removal === undefined && merge !== undefined) await carryOut(keeping, { disk, merge, signal })
    } catch (error) {
      if (signal.aborted) return
      failed.add(next)
      // One that a process still has open waits for a later look.
      ports.logger.info('layer.kept', { vmId, volumeId: disk.volumeId, layerId: next, error })
    }
  }
}

async function carryOut(
  keeping: Keeping,
  { disk, merge, signal }: { readonly disk: MachineDisk; readonly merge: LayerMerge; readonly signal: AbortSignal },
): Promise<void> {
  const { running, ports } = keeping
  const { volumeId } = disk
  const storage = ports.storage(disk.storageId)
  if (!merge.isInUse) {
    const cgroupDirectory = await ports.cgroups.makeForTools()
    return storage.mergeClosedLayers(volumeId, { into: merge.into, on: merge.on, cgroupDirectory })
  }
  // What it writes to is merged by its own process and by nobody else; a volume that isn't plugged in at the moment waits.
  if (running === undefined || !(await running.diskPaths()).has(volumeId))
    throw new DialtoneError('wrong-state', 'the machine does not have the disk open')
  // Before anything is merged: whoever finds them without anything on them knows that they may go.
  await storage.letGoOfLayers(volumeId, merge.merged)
  const topPath = await storage.layerPath(volumeId, merge.into)
  const basePath = await storage.layerPath(volumeId, merge.on)
  await running.mergeLayers(
    volumeId,
    { topPath, basePath },
    { bytesPerSecond, signal, onProgress: (fraction) => noteProgress(keeping, fraction) },
  )
  await storage.layerMerged(volumeId, merge.into, merge.on)
}

function noteProgress({ tidying }: Keeping, fraction: number): void {
  if (tidying !== undefined) tidying.progress = `merges layers: ${Math.round(100 * fraction)} %`
}

export function layeredDisksOf({ disks }: MachineOrder): readonly MachineDisk[] {
  return disks.filter(({ format }) => format === 'qcow2')
}

/** One that has become what the disk is written to, or was, is needed after all: it goes as such. */
export async function dropUnneeded(keeping: Keeping): Promise<void> {
  const { ports, vmId, record } = keeping
  const gone = new Set<LayerId>()
  for (const { volumeId, layerId } of record.unneededLayers) {
    const disk = diskOf(record.machine, volumeId)
    if (disk === undefined) continue
    const storage = ports.storage(disk.storageId)
    const found = (await storage.listLayers(volumeId)).find((each) => each.layerId === layerId)
    if (found === undefined || found.isCurrent || found.replacedAt !== null) {
      gone.add(layerId)
      continue
    }
    await storage
      .removeLayer(volumeId, layerId)
      .then(() => gone.add(layerId))
      .catch((error: unknown) => ports.logger.info('layer.kept', { vmId, volumeId, layerId, error }))
  }
  if (gone.size === 0) return
  const unneededLayers = keeping.record.unneededLayers.filter(({ layerId }) => !gone.has(layerId))
  await writeRecord(keeping, { unneededLayers })
}

/** The disks that recoveries have replaced, on whichever host, are kept for some days, for whoever misses something on them. */
export async function dropReplaced(keeping: Keeping): Promise<void> {
  const { record, ports, vmId } = keeping
  const oldestMs = ports.clock.wallTime().getTime() - replacedKeptMs
  for (const { storageId, volumeId } of layeredDisksOf(record.machine)) {
    const storage = ports.storage(storageId)
    const replaced = (await storage.listLayers(volumeId))
      .flatMap(({ layerId, replacedAt }) => (layerId === null || replacedAt === null ? [] : [{ layerId, replacedAt }]))
      .toSorted((one, other) => other.replacedAt.getTime() - one.replacedAt.getTime())
    const old = replaced.filter(({ replacedAt }, index) => index >= replacedKept || replacedAt.getTime() < oldestMs)
    for (const { layerId } of old)
      await storage
        .removeLayer(volumeId, layerId)
        .catch((error: unknown) => ports.logger.info('layer.kept', { vmId, volumeId, layerId, error }))
  }
}
