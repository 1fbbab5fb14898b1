/** A cache in a folder of its own, and a storage to fetch images from, for tests. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { DialtoneError, type ErrorCode } from '../../model/dialtone-error.ts'
import { type ImageId, imageIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { type MemoryImageManifest, memoryImageManifestSchema } from '../../model/recovery/memory-image.ts'
import type { ImagePaths } from './image-folder.ts'
import { createMemoryImageCache, type ImageWish } from './memory-image-cache.ts'

const volumeId = volumeIdSchema.parse('vol-mmmmmmmm')
export const one = imageIdSchema.parse('img-aaaaaaaa')
export const two = imageIdSchema.parse('img-bbbbbbbb')
export const three = imageIdSchema.parse('img-cccccccc')
export const mib = 2 ** 20

type WorldOptions = { readonly budgetMiB?: number; readonly directory?: string }

export async function makeWorld(t: TestContext, { budgetMiB = 1000, ...options }: WorldOptions = {}) {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'dialtone-memory-')))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const warnings: string[] = []
  const logger = {
    info: () => undefined,
    error: () => undefined,
    warn: (event: string, fields: object) => void warnings.push(`${event} ${JSON.stringify(fields)}`),
  }
  const restart = () => createMemoryImageCache({ directory, budgetMiB, logger })
  return { directory, warnings, restart, cache: restart(), store: makeStore() }
}

type Content = { readonly manifest: MemoryImageManifest; readonly write: (files: ImagePaths) => Promise<void> }

/** Where images come from, like a storage. */
function makeStore() {
  const kept = new Map<ImageId, Content>()
  const fetched: ImageId[] = []
  const damaged = new Set<ImageId>()
  let failure: Error | undefined
  const fetchImage: ImageWish['storage']['fetchImage'] = async (_volumeId, imageId, into) => {
    fetched.push(imageId)
    const content = kept.get(imageId)
    if (content === undefined) throw new DialtoneError('not-found', `there is no ${imageId}`)
    await content.write(into)
    if (damaged.has(imageId)) await writeAt(into.memory, 'X', 10)
    if (failure !== undefined) throw failure
    return content.manifest
  }
  return {
    fetched,
    damage: (imageId: ImageId) => void damaged.add(imageId),
    fail(error: Error | undefined) {
      failure = error
    },
    wish: (imageId: ImageId): ImageWish => ({ storage: { fetchImage }, volumeId, imageId }),
    keep(imageId: ImageId, size: { readonly sizeMiB: number; readonly holesMiB?: number }): Content {
      const content = makeContent(imageId, size)
      kept.set(imageId, content)
      return content
    },
  }
}

function makeContent(
  imageId: ImageId,
  { sizeMiB, holesMiB = 0 }: { readonly sizeMiB: number; readonly holesMiB?: number },
): Content {
  const chunk = Buffer.alloc(mib, imageId)
  const state = Buffer.from('the state of its devices')
  const hash = createHash('sha256')
  for (let index = 0; index < sizeMiB; index += 1) hash.update(chunk)
  for (let index = 0; index < holesMiB; index += 1) hash.update(Buffer.alloc(mib))
  const manifest = memoryImageManifestSchema.parse({
    ...facts,
    id: imageId,
    files: {
      memory: { bytes: (sizeMiB + holesMiB) * mib, sha256: hash.digest('hex') },
      state: { bytes: state.length, sha256: createHash('sha256').update(state).digest('hex') },
    },
  })
  const write = async (files: ImagePaths) => {
    await using memory = await open(files.memory, 'wx')
    for (let index = 0; index < sizeMiB; index += 1) await memory.write(chunk)
    await memory.truncate((sizeMiB + holesMiB) * mib)
    await writeFile(files.state, state, { flag: 'wx' })
  }
  return { manifest, write }
}

const facts = {
  formatVersion: 1,
  kind: 'warm',
  vmId: 'vm-aaaaaaaa',
  vmName: 'web',
  hardware: { machineType: 'pc-q35-7.2', cpuModel: 'max', accelerator: 'tcg', qemuVersion: '7.2.22' },
  cpus: 1,
  memoryMiB: 128,
  shape: 'a-shape',
  macAddress: '52:54:00:12:34:56',
  address: '10.1.2.3',
  disks: [{ volumeId, layerId: null }],
  capturedAt: '2026-11-21T08:00:00.000Z',
  pauseMs: 12,
  isLive: true,
}

async function writeAt(path: string, text: string, at: number): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(text, at)
}

export function failsWith(code: ErrorCode, words: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DialtoneError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, words)
    return true
  }
}
