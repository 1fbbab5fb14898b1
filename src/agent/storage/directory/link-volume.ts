/**
 * Volumes that share layers: a linked volume has second names (hard links) of the files that it begins with, under the same names as in the
 * folder that they come from, so what lies on what is the same. The file system counts who has a file; its mode 0444 says that it is shared.
 */
import { chmod, chown, link, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { VolumeId } from '../../../model/ids.ts'
import type { CloneStorage, Flattening, LinkRequest, VolumeFile } from '../clone-storage.ts'
import { layerFileName, layerOfFileName, readCurrentLayer, writeCurrent } from './current-layer.ts'
import { type Chain, giveTo, maximumLayers, readChain, sharedMode } from './disk-chain.ts'
import { isErrno, syncPath, writeDurably } from './durable-files.ts'
import { variablesName } from './guest-state.ts'
import { refuseWithoutSpace } from './image-copies.ts'
import { readKeptVariables } from './kept-guest-state.ts'
import { markLetGo, unmarkLetGo } from './let-go-layers.ts'
import { isThere, namesIn } from './needed-layers.ts'
import { processesWithVolumeOpen } from './open-files.ts'
import { type StorageCall, type StoragePlace, volumeFolder } from './storage-place.ts'
import { nameOfWork } from './work-in-progress.ts'

/** A disk of many gigabytes on a slow storage. */
const flattenTimeoutMs = 4 * 3_600_000

export function createCloneCalls(place: StoragePlace, call: StorageCall): CloneStorage {
  return {
    linkVolume: (request) => call('linkVolume', () => linkVolume(request, place), place.longCallTimeoutMs),
    flattenVolume: (volumeId, how) =>
      call('flattenVolume', () => flattenVolume(volumeId, how, place), flattenTimeoutMs),
    readVolume: (volumeId) => call('readVolume', () => readVolume(volumeId, place)),
  }
}

async function linkVolume(request: LinkRequest, place: StoragePlace): Promise<void> {
  const { from, overlay, volumeId } = request
  const folder = volumeFolder(place, volumeId)
  if (await isThere(folder)) {
    if ((await namesIn(folder)).includes(layerFileName(overlay))) return
    throw new DialtoneError('wrong-state', `Volume ${volumeId} exists already and is another`)
  }
  const source = volumeFolder(place, from.volumeId)
  const top = layerFileName(from.layerId)
  if (!(await isThere(join(source, top))))
    throw new DialtoneError('not-found', `Volume ${from.volumeId} has no layer ${from.layerId}`)
  if ((await readCurrentLayer(source)) === from.layerId)
    throw new DialtoneError('wrong-state', `Volume ${from.volumeId} is still written to in ${top}`)
  const chain = await readChain(join(source, top), place.imagesFolder)
  if (chain.length >= maximumLayers)
    throw new DialtoneError('wrong-state', `Volume ${from.volumeId} has ${chain.length} layers: no more fit on it`)
  await refuseWithoutSpace(place.volumesFolder, place.minimumFreeMiB)
  const workFolder = join(place.volumesFolder, nameOfWork(await place.worker(), volumeId))
  await mkdir(workFolder, { mode: 0o700 })
  try {
    await fill(workFolder, { request, chain, source }, place)
    await rename(workFolder, folder)
    await syncPath(place.volumesFolder)
  } catch (error) {
    // Somebody made the same volume meanwhile.
    if (!isErrno(error, 'ENOTEMPTY') && !isErrno(error, 'EEXIST')) throw error
  } finally {
    await rm(workFolder, { recursive: true, force: true })
  }
}

async function fill(
  workFolder: string,
  { request, chain, source }: { readonly request: LinkRequest; readonly chain: Chain; readonly source: string },
  place: StoragePlace,
): Promise<void> {
  const { from, overlay, userId, cgroupDirectory } = request
  for (const { path } of chain.own) {
    await link(path, join(workFolder, basename(path)))
    // Both machines' users read it from now on, and neither writes to it.
    await chown(path, 0, 0)
    await chmod(path, sharedMode)
  }
  const overlayPath = join(workFolder, layerFileName(overlay))
  const on = ['-u', '-f', 'qcow2', '-F', 'qcow2', '-b', layerFileName(from.layerId)]
  await runCommand('qemu-img', ['create', '-q', ...on, overlayPath, String(chain.top.header.virtualBytes)], {
    timeoutMs: place.longCallTimeoutMs,
    errorCode: 'storage-failed',
    cgroupDirectory,
  })
  await giveTo(userId, overlayPath)
  await syncPath(overlayPath)
  // What has nothing on it any more after a merge may go.
  const linked = chain.own.flatMap(({ path }) => layerOfFileName(basename(path)) ?? [])
  await markLetGo(workFolder, linked)
  const draft = join(place.volumesFolder, nameOfWork(await place.worker(), 'current'))
  await writeCurrent(workFolder, draft, { layerId: overlay, replaced: new Map() })
  const variables = from.snapshotId === null ? undefined : await readKeptVariables(source, from.snapshotId)
  if (variables !== undefined) await writeDurably(join(workFolder, variablesName), variables)
  await chmod(workFolder, 0o711)
  await syncPath(workFolder)
}

/**
 * The whole content takes the place of the first layer, by a rename: what lies on that reads the same through it. Then the first layer is the
 * current one, and the others go.
 */
async function flattenVolume(volumeId: VolumeId, how: Flattening, place: StoragePlace): Promise<void> {
  const folder = volumeFolder(place, volumeId)
  const top = join(folder, layerFileName(await readCurrentLayer(folder)))
  const users = await processesWithVolumeOpen(folder, volumeId)
  if (users.length > 0)
    throw new DialtoneError('in-use', `Volume ${volumeId} is open in process ${users.join(', ')} of this host`)
  const chain = await readChain(top, place.imagesFolder)
  if (chain.length > 1) await copyWhole({ folder, volumeId, chain }, how, place)
  const draft = join(place.volumesFolder, nameOfWork(await place.worker(), 'current'))
  await writeCurrent(folder, draft, { layerId: null, replaced: new Map() })
  for (const name of await namesIn(folder)) {
    const layerId = layerOfFileName(name)
    if (layerId === undefined || layerId === null) continue
    await rm(join(folder, name), { force: true })
    await unmarkLetGo(folder, layerId)
  }
  await syncPath(folder)
}

async function copyWhole(
  { folder, volumeId, chain }: { readonly folder: string; readonly volumeId: VolumeId; readonly chain: Chain },
  { cgroupDirectory, signal, begins }: Flattening,
  place: StoragePlace,
): Promise<void> {
  const links = [...chain.own, ...(chain.base === undefined ? [] : [chain.base])]
  const wholeBytes = links.reduce((sum, { usedBytes }) => sum + usedBytes, 0)
  await refuseWithoutSpace(place.volumesFolder, wholeBytes / 2 ** 20 + place.minimumFreeMiB)
  const workFolder = join(place.volumesFolder, nameOfWork(await place.worker(), volumeId))
  const workPath = join(workFolder, layerFileName(null))
  await mkdir(workFolder, { mode: 0o700 })
  try {
    begins(async () => {
      const { blocks } = await stat(workPath).catch(() => ({ blocks: 0 }))
      return Math.min(0.99, (blocks * 512) / Math.max(1, wholeBytes))
    })
    await runCommand('qemu-img', ['convert', '-f', 'qcow2', '-O', 'qcow2', chain.top.path, workPath], {
      ...{ timeoutMs: flattenTimeoutMs, errorCode: 'storage-failed', cgroupDirectory, signal },
    })
    await giveTo(chain.top.userId, workPath)
    await syncPath(workPath)
    await rename(workPath, join(folder, layerFileName(null)))
    await syncPath(folder)
  } finally {
    await rm(workFolder, { recursive: true, force: true })
  }
}

async function readVolume(volumeId: VolumeId, place: StoragePlace): Promise<VolumeFile> {
  const folder = volumeFolder(place, volumeId)
  const path = join(folder, layerFileName(null))
  if (!(await isThere(path))) throw new DialtoneError('not-found', `There is no volume ${volumeId}`)
  const users = await processesWithVolumeOpen(folder, volumeId)
  if (users.length > 0)
    throw new DialtoneError('in-use', `Volume ${volumeId} is open in process ${users.join(', ')} of this host`)
  const current = await readCurrentLayer(folder)
  const chain = await readChain(path, place.imagesFolder)
  if (current !== null || chain.base !== undefined)
    throw new DialtoneError('wrong-state', `Volume ${volumeId} doesn't stand alone: flatten it first`)
  const file = await open(path, 'r')
  const { size } = await file.stat()
  return { size, stream: file.createReadStream({ start: 0, end: Math.max(0, size - 1) }) }
}
