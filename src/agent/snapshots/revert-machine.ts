/**
 * Lets a machine that runs here go on from a snapshot, under the next incarnation of its epoch. What takes time is done while it still runs:
 * a process with the memory of the snapshot is prepared on fresh layers. Old memory never meets a newer disk: each attempt has layers of its
 * own on those of the snapshot. What it wrote until now is kept for some days, as after a recovery.
 */
import type { Reverted } from '../../model/agent-protocol/snapshot-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type LayerId, layerIdSchema, makeId, type TaskId } from '../../model/ids.ts'
import type { MachineDisk } from '../../model/machine-order.ts'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'
import { enqueue, type Keeping, lifeOf, nowIso, writeRecord } from '../machines/keeping.ts'
import { assertLicensed, claimDisks } from '../machines/launch-machine.ts'
import { endProcess, restart } from '../machines/machine-life.ts'
import { boot, resumeSpare, type Start, type StartOutcome, type StartRight } from '../machines/machine-starts.ts'
import { beginFailure } from '../recovery/climb.ts'
import { diskOf, rootOf, userIdOf } from '../recovery/machine-shape.ts'
import { noteLayers } from '../recovery/note-layers.ts'
import { discardSpare, type PreparedSpare } from '../recovery/spare-keeper.ts'
import { currentLayerOf } from '../recovery/take-instant.ts'
import { stopTidying } from '../recovery/tidy-layers.ts'
import { endWatch } from '../recovery/watch-service.ts'
import { removeRecoveryImages, restoreGuestState } from './snapshot-files.ts'

export type RevertWish = {
  readonly taskId: TaskId
  readonly snapshot: Snapshot
  /** Its owner wants it; otherwise it is the end of an outage. */
  readonly isPlanned: boolean
}

/** Resolves when it runs. Throws `in-use` while it is captured or moved, and what kept it from running. */
export async function revertMachine(keeping: Keeping, wish: RevertWish): Promise<Reverted> {
  const { record, running, image, phase } = keeping
  const { name } = record.machine
  if (record.lastRevert?.taskId === wish.taskId) return record.lastRevert.reverted
  if (running === undefined || (phase !== 'running' && phase !== 'paused') || keeping.isReleased)
    throw new DialtoneError('wrong-state', `${name} is ${phase}: it does not run here`)
  if (image.isCapturing) throw new DialtoneError('in-use', `${name} is being captured or moved: try again in a moment`)
  image.isCapturing = true
  try {
    const prepared = await prepare(keeping, wish.snapshot)
    return await enqueue(keeping, async () => {
      if (keeping.running !== running) {
        if ('image' in prepared) await discardSpare(prepared, keeping.ports)
        throw new DialtoneError('conflict', `${name} was changed at the same time`)
      }
      return change(keeping, wish, prepared)
    })
  } finally {
    image.isCapturing = false
  }
}

type Prepared = PreparedSpare | { readonly why: string }

/** While it runs on. What can't be resumed is booted, and says why. */
async function prepare(keeping: Keeping, snapshot: Snapshot): Promise<Prepared> {
  const { ports, record } = keeping
  const { machine } = record
  if (snapshot.imageId === null) return { why: '' }
  try {
    const { storageId, volumeId } = rootOf(machine)
    const image = (await ports.storage(storageId).listImages(volumeId)).find(({ id }) => id === snapshot.imageId)
    if (image === undefined) return { why: `its image ${snapshot.imageId} is damaged or gone` }
    const life = { epoch: record.epoch, incarnation: record.incarnation + 1 }
    return await keeping.spare.take({
      ...{ machine, image, takenTap: record.tapName, life },
      disks: snapshot.disks.filter((disk) => diskOf(machine, disk.volumeId) !== undefined),
    })
  } catch (error) {
    ports.logger.warn('revert.not-resumable', { vmId: keeping.vmId, snapshotId: snapshot.id, error })
    return { why: error instanceof Error ? error.message : String(error) }
  }
}

async function change(keeping: Keeping, wish: RevertWish, prepared: Prepared): Promise<Reverted> {
  const { ports, vmId, record } = keeping
  await stopTidying(keeping)
  let reverted: Reverted = { how: 'booted', detail: 'why' in prepared ? prepared.why : '' }
  let spare = 'image' in prepared ? prepared : undefined
  const start: Start = async (now, right) => {
    const from = spare
    spare = undefined
    if (from !== undefined) {
      const outcome = await resumeSpare(now, right, from)
      if (outcome.kind === 'running') reverted = { how: 'resumed', detail: '' }
      if (outcome.kind !== 'failed' || outcome.isOverruled) return outcome
      reverted = { how: 'booted', detail: outcome.why }
    }
    const outcome = await bootOn(now, right, wish.snapshot)
    // From here on it is a failure like any other: the ladder brings it back on what its disks are then.
    if (outcome.kind === 'failed' && keeping.failure === undefined)
      beginFailure(keeping, { cause: 'unknown', detail: `its return to a snapshot broke off: ${outcome.why}` })
    return outcome
  }
  try {
    await removeRecoveryImages(record.machine, ports)
    keeping.image.manifest = undefined
    if (wish.isPlanned) {
      // Looked at anew afterwards: it may be back before anybody misses an answer.
      endWatch(keeping)
      ports.journal.note({ kind: 'planned', vmId, at: nowIso(keeping), what: 'stopped' })
    } else beginFailure(keeping, { cause: 'wrong-answers', detail: 'what was changed made it worse: it is taken back' })
    await endProcess(keeping)
    if (wish.isPlanned) ports.journal.note({ kind: 'planned', vmId, at: nowIso(keeping), what: 'started' })
    await restart(keeping, record.epoch, start)
  } finally {
    // Nobody came to use it.
    if (spare !== undefined) await discardSpare(spare, ports)
  }
  if (keeping.running === undefined)
    throw new DialtoneError('hypervisor-failed', `${record.machine.name} was ended and does not run: ${keeping.detail}`)
  await writeRecord(keeping, { lastRevert: { taskId: wish.taskId, reverted } })
  ports.logger.info('machine.reverted', { vmId, snapshotId: wish.snapshot.id, ...reverted })
  return reverted
}

async function bootOn(keeping: Keeping, right: StartRight, snapshot: Snapshot): Promise<StartOutcome> {
  try {
    await layDisksOn(keeping, snapshot)
  } catch (error) {
    if (error instanceof DialtoneError && error.code === 'licence-lost') return { kind: 'no-licence' }
    return { kind: 'failed', why: error instanceof Error ? error.message : String(error), isOverruled: false }
  }
  return boot(keeping, right)
}

/**
 * Fresh layers on those of the snapshot: claimed before they are current, as by any start. All disks go there or none does. A disk that came
 * later stays as it is.
 */
async function layDisksOn(keeping: Keeping, snapshot: Snapshot): Promise<void> {
  const { ports, record } = keeping
  const { machine } = record
  assertLicensed(machine, ports)
  await claimDisks(machine, lifeOf(keeping), ports)
  const fresh = []
  for (const { volumeId, layerId: on } of snapshot.disks) {
    const disk = diskOf(machine, volumeId)
    if (disk !== undefined)
      fresh.push({ disk, present: await currentLayerOf(disk, ports), layerId: await addLayerOn(keeping, disk, on) })
  }
  try {
    await restoreGuestState(machine, snapshot, ports)
    for (const { disk, layerId } of fresh) await ports.storage(disk.storageId).useLayer(disk.volumeId, layerId)
  } catch (error) {
    for (const { disk, present } of fresh) await ports.storage(disk.storageId).useLayer(disk.volumeId, present)
    throw error
  }
  await noteLayers(keeping)
}

/** Let go of from the start: if nobody comes to use it, it goes. */
async function addLayerOn({ record, ports }: Keeping, disk: MachineDisk, on: LayerId | null): Promise<LayerId> {
  const cgroupDirectory = await ports.cgroups.makeForTools()
  const storage = ports.storage(disk.storageId)
  const layerId = makeId('layer', layerIdSchema, ports.randomBytes(8))
  await storage.addLayer(disk.volumeId, { layerId, on, userId: userIdOf(record.machine), cgroupDirectory })
  await storage.letGoOfLayers(disk.volumeId, [layerId])
  return layerId
}
