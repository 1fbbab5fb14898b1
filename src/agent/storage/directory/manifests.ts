/**
 * Manifests beside a volume, `volumes/ID/machine-EPOCH-REVISION.json`. Their order is in their names, so one that is written late by a host
 * that has lost the machine never takes the place of a newer one.
 */
import { readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { VolumeId } from '../../../model/ids.ts'
import {
  compareVersions,
  type ManifestVersion,
  type VmManifest,
  vmManifestSchema,
} from '../../../model/rebuild/vm-manifest.ts'
import type { ManifestStorage } from '../manifest-storage.ts'
import { isErrno, syncPath, writeDurably } from './durable-files.ts'
import { isThere } from './needed-layers.ts'
import { type StorageCall, type StoragePlace, volumeFolder } from './storage-place.ts'
import { nameOfWork } from './work-in-progress.ts'

export function createManifestCalls(place: StoragePlace, call: StorageCall): ManifestStorage {
  return {
    writeManifest: (volumeId, manifest) => call('writeManifest', () => writeManifest(volumeId, manifest, place)),
    readManifest: (volumeId) => call('readManifest', () => readNewest(volumeFolder(place, volumeId))),
  }
}

async function writeManifest(volumeId: VolumeId, manifest: VmManifest, place: StoragePlace): Promise<ManifestVersion> {
  const folder = volumeFolder(place, volumeId)
  if (!(await isThere(folder))) throw new DialtoneError('not-found', `There is no volume ${volumeId} at ${folder}`)
  const newest = (await readNewest(folder))?.version
  if (newest !== undefined && compareVersions(newest, manifest.version) > 0) return newest
  const workPath = join(place.volumesFolder, nameOfWork(await place.worker(), `manifest-of-${volumeId}`))
  try {
    await writeDurably(workPath, `${JSON.stringify(manifest, null, 2)}\n`)
    await rename(workPath, join(folder, fileNameOf(manifest.version)))
    await syncPath(folder)
  } finally {
    await rm(workPath, { force: true })
  }
  const older = (await versionsIn(folder)).filter((version) => compareVersions(version, manifest.version) < 0)
  for (const version of older) await rm(join(folder, fileNameOf(version)), { force: true })
  return manifest.version
}

async function readNewest(folder: string): Promise<VmManifest | undefined> {
  for (const version of await versionsIn(folder)) {
    const manifest = await readManifest(join(folder, fileNameOf(version)))
    if (manifest !== undefined) return manifest
  }
  return undefined
}

/** Newest first. */
async function versionsIn(folder: string): Promise<readonly ManifestVersion[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  })
  return names
    .flatMap((name) => {
      const [, epoch, revision] = /^machine-(\d+)-(\d+)\.json$/.exec(name) ?? []
      return epoch === undefined ? [] : [{ epoch: Number(epoch), revision: Number(revision) }]
    })
    .sort((left, right) => compareVersions(right, left))
}

/** Undefined for one that is damaged, or was replaced by a newer one meanwhile. */
async function readManifest(path: string): Promise<VmManifest | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return ''
    throw error
  })
  try {
    return vmManifestSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

function fileNameOf({ epoch, revision }: ManifestVersion): string {
  return `machine-${epoch}-${revision}.json`
}
