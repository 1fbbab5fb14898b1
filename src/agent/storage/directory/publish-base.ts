/** Bases that are made from a layer on the storage itself, `images/VERSION.qcow2` like the copies of templates, and their end. */
import { chmod, mkdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { type LayerId, type VolumeId, volumeIdSchema } from '../../../model/ids.ts'
import type { Storage } from '../storage.ts'
import { layerFileName, readCurrentLayer } from './current-layer.ts'
import { type Chain, readChain, readLink } from './disk-chain.ts'
import { linkUnlessThere, syncPath } from './durable-files.ts'
import { baseFileName, refuseWithoutSpace } from './image-copies.ts'
import { isThere, namesIn } from './needed-layers.ts'
import { processesWithOpenFile } from './open-files.ts'
import { type StorageCall, type StoragePlace, volumeFolder } from './storage-place.ts'
import { nameOfWork } from './work-in-progress.ts'

export type BaseCalls = Pick<Storage, 'publishBase' | 'removeBase'>

type Publication = { readonly version: string; readonly cgroupDirectory: string }

export function createBaseCalls(place: StoragePlace, call: StorageCall): BaseCalls {
  const { longCallTimeoutMs } = place
  return {
    publishBase: (volumeId, layerId, how) =>
      call('publishBase', () => publishBase({ volumeId, layerId }, how, place), longCallTimeoutMs),
    removeBase: (version) => call('removeBase', () => removeBase(version, place), longCallTimeoutMs),
  }
}

async function publishBase(
  from: { readonly volumeId: VolumeId; readonly layerId: LayerId | null },
  how: Publication,
  place: StoragePlace,
): Promise<void> {
  const fileName = baseFileName(how.version)
  const finalPath = join(place.imagesFolder, fileName)
  if (await isThere(finalPath)) return
  const folder = volumeFolder(place, from.volumeId)
  const layerName = layerFileName(from.layerId)
  const chain = await readChain(join(folder, layerName), place.imagesFolder)
  const users = await processesWithOpenFile(`/volumes/${from.volumeId}/${layerName}`)
  if ((await readCurrentLayer(folder)) === from.layerId && users.length > 0) {
    throw new DialtoneError(
      'in-use',
      `Volume ${from.volumeId} is written to by process ${users.join(', ')} of this host`,
    )
  }
  const usedBytes = chain.own.reduce((sum, link) => sum + link.usedBytes, 0)
  await refuseWithoutSpace(place.imagesFolder, usedBytes / 2 ** 20 + place.minimumFreeMiB)
  const workFolder = join(place.imagesFolder, nameOfWork(await place.worker(), how.version))
  const workPath = join(workFolder, fileName)
  await mkdir(workFolder, { mode: 0o700 })
  try {
    await flatten(chain, workPath, { cgroupDirectory: how.cgroupDirectory, timeoutMs: place.longCallTimeoutMs })
    await chmod(workPath, 0o444)
    await syncPath(workPath)
    await linkUnlessThere(workPath, finalPath)
  } finally {
    await rm(workFolder, { recursive: true, force: true })
  }
}

/**
 * The content of the chain as one overlay of the template's image, or as a file that stands alone when there is none. By `rebase`, which
 * takes along what differs: `convert -B` takes only what is in the top layer.
 */
async function flatten(
  { top, base }: Chain,
  workPath: string,
  tool: { readonly cgroupDirectory: string; readonly timeoutMs: number },
): Promise<void> {
  const qemuImg = (...args: readonly string[]) =>
    runCommand('qemu-img', args, { ...tool, errorCode: 'storage-failed' as const })
  await qemuImg('create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', top.path, workPath)
  if (base === undefined) {
    await qemuImg('rebase', '-q', '-f', 'qcow2', '-b', '', workPath)
    return
  }
  await qemuImg('rebase', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base.path, workPath)
  // The relative name fits the folder that the file is going to lie in.
  await qemuImg('rebase', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', basename(base.path), workPath)
}

async function removeBase(version: string, place: StoragePlace): Promise<void> {
  const fileName = baseFileName(version)
  const path = join(place.imagesFolder, fileName)
  if (!(await isThere(path))) return
  const user = await findUser(fileName, place)
  if (user !== undefined) throw new DialtoneError('in-use', `The base ${version} is not removed: ${user} lies on it`)
  await rm(path, { force: true })
  await syncPath(place.imagesFolder)
}

/** Only first layers and other bases lie on a base. */
async function findUser(fileName: string, { imagesFolder, volumesFolder }: StoragePlace): Promise<string | undefined> {
  for (const name of await namesIn(imagesFolder)) {
    if (!name.endsWith('.qcow2') || name === fileName) continue
    if ((await readLink(join(imagesFolder, name))).header.backingFile === fileName) return name
  }
  for (const name of await namesIn(volumesFolder)) {
    const diskPath = join(volumesFolder, name, layerFileName(null))
    if (!volumeIdSchema.safeParse(name).success || !(await isThere(diskPath))) continue
    if ((await readLink(diskPath)).header.backingFile === `../../images/${fileName}`) return name
  }
  return undefined
}
