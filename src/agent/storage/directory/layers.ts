/**
 * The layers of a volume: overlays beside its disk, `volumes/ID/LAYER.qcow2`, each on another file of the folder by a relative name.
 * A layer appears when it is whole and durable; which one is current is in a file of its own.
 */
import { mkdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { type LayerId, layerIdSchema, type VolumeId } from '../../../model/ids.ts'
import type { LayerInfo, LayerRequest, Storage } from '../storage.ts'
import {
  type CurrentLayer,
  layerFileName,
  layerOfFileName,
  readCurrent,
  readCurrentLayer,
  writeCurrent,
} from './current-layer.ts'
import { giveTo, layerUnder, maximumLayers, readChain, readLink, readLinkIfThere } from './disk-chain.ts'
import { linkUnlessThere, syncPath } from './durable-files.ts'
import { refuseWithoutSpace } from './image-copies.ts'
import { letGoLayers, markLetGo, unmarkLetGo } from './let-go-layers.ts'
import { isThere, namesIn, neededLayers, neederOf } from './needed-layers.ts'
import { processesWithOpenFile } from './open-files.ts'
import { type StorageCall, type StoragePlace, volumeFolder } from './storage-place.ts'
import { nameOfWork } from './work-in-progress.ts'

export type LayerCalls = Pick<
  Storage,
  'addLayer' | 'useLayer' | 'listLayers' | 'layerPath' | 'removeLayer' | 'layerMerged'
>

/** A volume that has layers, with what its folder holds. */
type LayeredVolume = { readonly volumeId: VolumeId; readonly folder: string; readonly names: readonly string[] }

export function createLayerCalls(place: StoragePlace, call: StorageCall): LayerCalls {
  const { longCallTimeoutMs } = place
  const layered = async (volumeId: VolumeId): Promise<LayeredVolume> => {
    const folder = volumeFolder(place, volumeId)
    const names = await namesIn(folder)
    if (names.length === 0) throw new DialtoneError('not-found', `There is no volume ${volumeId}`)
    if (!names.includes(layerFileName(null))) {
      throw new DialtoneError('invalid-input', `Volume ${volumeId} is not qcow2: it has no layers`)
    }
    return { volumeId, folder, names }
  }
  return {
    addLayer: (volumeId, request) =>
      call('addLayer', async () => addLayer(await layered(volumeId), request, place), longCallTimeoutMs),
    useLayer: (volumeId, layerId) => call('useLayer', async () => useLayer(await layered(volumeId), layerId, place)),
    listLayers: (volumeId) => call('listLayers', async () => listLayers(await layered(volumeId))),
    layerPath: (volumeId, layerId) => call('layerPath', async () => pathOf(await layered(volumeId), layerId)),
    removeLayer: (volumeId, layerId) =>
      call('removeLayer', () => removeLayer(volumeId, volumeFolder(place, volumeId), layerId), longCallTimeoutMs),
    layerMerged: (volumeId, layerId, on) =>
      call('layerMerged', async () => layerMerged(await layered(volumeId), { layerId, on }, place)),
  }
}

async function addLayer(
  volume: LayeredVolume,
  request: LayerRequest,
  place: StoragePlace,
): Promise<{ readonly path: string }> {
  const { layerId, on, userId } = request
  const chain = await readChain(pathOf(volume, on), place.imagesFolder)
  if (chain.length > maximumLayers) {
    throw new DialtoneError('wrong-state', `Volume ${volume.volumeId} has ${chain.length} layers: no more fit on it`)
  }
  for (const { path } of chain.own) await giveTo(userId, path)
  const path = join(volume.folder, layerFileName(layerIdSchema.parse(layerId)))
  const { virtualBytes } = chain.top.header
  if (!(await isThere(path))) await makeLayer(path, { request, virtualBytes }, place)
  const { header } = await readLink(path)
  if (header.backingFile !== layerFileName(on) || header.virtualBytes !== virtualBytes) {
    throw new DialtoneError('wrong-state', `Layer ${layerId} of volume ${volume.volumeId} exists already on another`)
  }
  await giveTo(userId, path)
  return { path }
}

async function makeLayer(
  path: string,
  { request, virtualBytes }: { readonly request: LayerRequest; readonly virtualBytes: number },
  place: StoragePlace,
): Promise<void> {
  await refuseWithoutSpace(place.volumesFolder, place.minimumFreeMiB)
  const workFolder = join(place.volumesFolder, nameOfWork(await place.worker(), request.layerId))
  const workPath = join(workFolder, basename(path))
  await mkdir(workFolder, { mode: 0o700 })
  try {
    // Unsafe means that what it is to lie on isn't opened: from here the relative name leads nowhere, and a machine may be writing there.
    const overlay = ['-u', '-f', 'qcow2', '-F', 'qcow2', '-b', layerFileName(request.on)]
    await runCommand('qemu-img', ['create', '-q', ...overlay, workPath, String(virtualBytes)], {
      timeoutMs: place.longCallTimeoutMs,
      errorCode: 'storage-failed',
      cgroupDirectory: request.cgroupDirectory,
    })
    await giveTo(request.userId, workPath)
    await syncPath(workPath)
    await linkUnlessThere(workPath, path)
  } finally {
    await rm(workFolder, { recursive: true, force: true })
  }
}

/** On the path of a recovery: a few looks and two flushes. */
async function useLayer(volume: LayeredVolume, layerId: LayerId | null, place: StoragePlace): Promise<void> {
  const { folder, names } = volume
  const path = pathOf(volume, layerId)
  const needer = await neederOf(folder, layerId, names)
  if (needer !== undefined) throw neededBy(needer, volume.volumeId, layerId)
  const temporaryPath = join(place.volumesFolder, nameOfWork(await place.worker(), 'current'))
  // A file that says nothing is set right by this; a layer that lies on what it shouldn't is refused when it is opened.
  const before = await readCurrent(folder).catch(() => ({ layerId: null, replaced: new Map<LayerId, Date>() }))
  const { header, isShared } = await readLink(path)
  if (isShared) throw neededBy('another volume', volume.volumeId, layerId)
  const { backingFile } = header
  const replaced = replacedAfter(before, { layerId, backingFile }, names)
  await writeCurrent(folder, temporaryPath, { layerId, replaced })
}

/** What is gone is forgotten, and so is what is used again. */
function replacedAfter(
  before: CurrentLayer,
  { layerId, backingFile }: { readonly layerId: LayerId | null; readonly backingFile: string | undefined },
  names: readonly string[],
): ReadonlyMap<LayerId, Date> {
  const replaced = new Map(before.replaced)
  if (before.layerId !== null && backingFile !== layerFileName(before.layerId)) replaced.set(before.layerId, new Date())
  if (layerId !== null) replaced.delete(layerId)
  return new Map([...replaced].filter(([each]) => names.includes(layerFileName(each))))
}

async function listLayers({ folder, names }: LayeredVolume): Promise<readonly LayerInfo[]> {
  const current = await readCurrent(folder)
  const [needed, letGo] = [await neededLayers(folder, names), letGoLayers(names)]
  const layers: LayerInfo[] = []
  for (const name of [...names].sort()) {
    const layerId = layerOfFileName(name)
    if (layerId === undefined) continue
    const link = await readLinkIfThere(join(folder, name))
    if (link === undefined) continue
    const { usedBytes, modifiedAt, isShared } = link
    const on = layerId === null ? undefined : layerUnder(link)
    const isCurrent = layerId === current.layerId
    const replacedAt = layerId === null ? null : (current.replaced.get(layerId) ?? null)
    const isLetGo = layerId !== null && letGo.has(layerId)
    const isNeeded = needed.has(layerId)
    layers.push({ layerId, on, usedBytes, isCurrent, modifiedAt, replacedAt, isNeeded, isLetGo, isShared })
  }
  return layers
}

async function removeLayer(volumeId: VolumeId, folder: string, layerId: LayerId): Promise<void> {
  const names = await namesIn(folder)
  const fileName = layerFileName(layerId)
  if (!names.includes(fileName)) return
  const inUse = (reason: string) =>
    new DialtoneError('in-use', `Layer ${layerId} of volume ${volumeId} is not removed: ${reason}`)
  if ((await readCurrentLayer(folder)) === layerId) throw inUse('it is the current one')
  const needer = await neederOf(folder, layerId, names)
  if (needer !== undefined) throw inUse(`${needer} needs it`)
  for (const name of names) {
    const other = layerOfFileName(name)
    if (other === undefined || other === null || other === layerId) continue
    const link = await readLinkIfThere(join(folder, name))
    if (link !== undefined && layerUnder(link) === layerId) throw inUse(`${other} lies on it`)
  }
  const users = await processesWithOpenFile(`/volumes/${volumeId}/${fileName}`)
  if (users.length > 0) throw inUse(`it is open in process ${users.join(', ')} of this host`)
  await letGoOfUnder(folder, layerId, names)
  await rm(join(folder, fileName), { force: true })
  await unmarkLetGo(folder, layerId)
  await syncPath(folder)
}

/** What it lay on is of no use to a process that only waited: that one's layer was never let go of, and never replaced. */
async function letGoOfUnder(folder: string, layerId: LayerId, names: readonly string[]): Promise<void> {
  const isSpent = letGoLayers(names).has(layerId) || (await readCurrent(folder)).replaced.has(layerId)
  const link = isSpent ? await readLinkIfThere(join(folder, layerFileName(layerId))) : undefined
  const under = link === undefined ? null : layerUnder(link)
  if (under !== null) await markLetGo(folder, [under])
}

/** The hypervisor has written the new name into the header; it is checked, and made durable before anybody removes what was merged. */
async function layerMerged(
  volume: LayeredVolume,
  { layerId, on }: { readonly layerId: LayerId; readonly on: LayerId | null },
  place: StoragePlace,
): Promise<void> {
  const path = pathOf(volume, layerId)
  const { header } = await readLink(path)
  if (header.backingFile !== layerFileName(on)) {
    throw new DialtoneError(
      'wrong-state',
      `Layer ${layerId} of volume ${volume.volumeId} lies on ${header.backingFile}, not on ${layerFileName(on)}`,
    )
  }
  await readChain(path, place.imagesFolder)
  await syncPath(path)
}

function pathOf({ volumeId, folder, names }: LayeredVolume, layerId: LayerId | null): string {
  const fileName = layerFileName(layerId)
  if (names.includes(fileName)) return join(folder, fileName)
  throw new DialtoneError('not-found', `Volume ${volumeId} has no layer ${layerId}`)
}

function neededBy(needer: string, volumeId: VolumeId, layerId: LayerId | null): DialtoneError {
  const layer = layerId ?? 'the first layer'
  return new DialtoneError('in-use', `${needer} needs ${layer} of volume ${volumeId}: nothing may write to it`)
}
