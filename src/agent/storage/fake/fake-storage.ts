/**
 * A storage in memory. One world is one storage; every host sees it through its own `storageOf(hostName)`, with faults of its own, so
 * that a storage which one host lost, and which others still use, can be played.
 */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { ImageId, LayerId, VolumeId } from '../../../model/ids.ts'
import type { DiskFormat } from '../../../model/machine-order.ts'
import type { ImageFileName } from '../../../model/recovery/memory-image.ts'
import type { CloneStorage } from '../clone-storage.ts'
import { isSameOwner } from '../same-owner.ts'
import type { SnapshotStorage } from '../snapshot-storage.ts'
import type { Ownership, Storage, VolumeRequest } from '../storage.ts'
import { createCloneCalls } from './fake-clones.ts'
import { fetchImage, listImages, storeImage } from './fake-images.ts'
import {
  addLayer,
  layerMerged,
  layerPath,
  listLayers,
  publishBase,
  removeBase,
  removeLayer,
  useLayer,
} from './fake-layers.ts'
import { createManifestCalls } from './fake-manifests.ts'
import { createSnapshotCalls } from './fake-snapshots.ts'
import {
  type FakeFiles,
  type FakeLayer,
  type FakeWorld,
  fakeLayerPath,
  filesOfThisMachine,
  layerOf,
  neederOf,
  volumeOf,
} from './fake-world.ts'

/** What a host's way to the storage does to each call. */
export type FakeStorageFault =
  | { readonly kind: 'none' }
  | { readonly kind: 'slow'; readonly delayMs: number }
  | { readonly kind: 'refuses' }
  /** Calls wait until the fault is replaced, and then take effect, as with a network storage that comes back. */
  | { readonly kind: 'hangs' }

export type FakeStorage = Storage & {
  setFault(fault: FakeStorageFault): void
  /** Plays a hypervisor of this host that has a layer of the disk open, until the answer is called. */
  holdOpen(volumeId: VolumeId, layerId?: LayerId | null): () => void
}

export type FakeStorageWorld = {
  storageOf(hostName: string): FakeStorage
  /** The slot's block fails its checksum from now on, until it is written again. */
  tearSlot(slot: number): void
  /** What a machine wrote into a layer: it occupies so much more from now on. */
  writeToLayer(volumeId: VolumeId, layerId: LayerId | null, bytes: number): void
  /** What firmware and TPM of its machine remember. */
  readGuestState(volumeId: VolumeId): string
  /** They do so from now on. */
  writeGuestState(volumeId: VolumeId, state: string): void
  /** This file of the volume, and those that it lies on, the topmost first. */
  chainUnder(volumeId: VolumeId, path: string): readonly string[]
  /** What a layer lies on, from the upper one down. */
  layersUnder(path: string): readonly string[]
  /** Changes the stored file of an image; undefined removes it. */
  damageImage(image: FakeImageFile, change: (content: Uint8Array) => Uint8Array | undefined): void
}

export type FakeImageFile = { readonly volumeId: VolumeId; readonly imageId: ImageId; readonly name: ImageFileName }

export type FakeStorageOptions = {
  readonly shared: boolean
  readonly sleep: (delayMs: number) => Promise<void>
  /** 100,000 MiB. */
  readonly totalMiB?: number
  /** Where images are stored from and fetched into; this machine's files. */
  readonly files?: FakeFiles
  /** 1970. */
  readonly now?: () => Date
}

export function createFakeStorageWorld(options: FakeStorageOptions): FakeStorageWorld {
  const world: FakeWorld = {
    volumes: new Map(),
    slots: new Map(),
    torn: new Set(),
    bases: new Map(),
    totalMiB: options.totalMiB ?? 100_000,
    files: options.files ?? filesOfThisMachine,
    now: options.now ?? (() => new Date(0)),
  }
  const hosts = new Map<string, FakeStorage>()
  return {
    storageOf(hostName) {
      const storage = hosts.get(hostName) ?? createHostView(hostName, world, options)
      hosts.set(hostName, storage)
      return storage
    },
    tearSlot: (slot) => void world.torn.add(slot),
    readGuestState: (volumeId) => volumeOf(world, volumeId).guestState,
    writeGuestState(volumeId, state) {
      volumeOf(world, volumeId).guestState = state
    },
    writeToLayer(volumeId, layerId, bytes) {
      const layer = layerOf(volumeOf(world, volumeId), layerId)
      layer.usedBytes += bytes
      layer.modifiedAt = world.now()
    },
    chainUnder: (volumeId, path) => chainUnder(world, volumeId, path),
    layersUnder: (path) => layersUnder(world, path),
    damageImage({ volumeId, imageId, name }, change) {
      const contents = volumeOf(world, volumeId).images.get(imageId)?.contents
      const changed = change(contents?.get(name) ?? new Uint8Array())
      if (changed === undefined) contents?.delete(name)
      else contents?.set(name, changed)
    },
  }
}

function chainUnder(world: FakeWorld, volumeId: VolumeId, path: string): readonly string[] {
  const layers = world.volumes.get(volumeId)?.layers ?? new Map<LayerId | null, FakeLayer>()
  const chain: string[] = []
  let layerId = [...layers.keys()].find((one) => fakeLayerPath(volumeId, one) === path)
  while (layerId !== undefined && layers.has(layerId)) {
    chain.push(fakeLayerPath(volumeId, layerId))
    layerId = layers.get(layerId)?.on
  }
  return chain.length === 0 ? [path] : chain
}

function layersUnder({ volumes }: FakeWorld, path: string): readonly string[] {
  for (const [volumeId, { layers }] of volumes) {
    for (const [layerId, layer] of layers) {
      if (fakeLayerPath(volumeId, layerId) !== path) continue
      const under: string[] = []
      for (let { on } = layer; on !== undefined; on = layers.get(on)?.on) under.push(fakeLayerPath(volumeId, on))
      return under
    }
  }
  return []
}

function createHostView(hostName: string, world: FakeWorld, options: FakeStorageOptions): FakeStorage {
  const open = new Map<symbol, string>()
  const way = createWay(hostName, options.sleep)
  const refuseOpen = (path: string) => {
    if (![...open.values()].some((one) => one.startsWith(path))) return
    throw new DialtoneError('in-use', `${path} is open on ${hostName}`)
  }
  return {
    capabilities: { shared: options.shared, pills: options.shared },
    setFault: way.setFault,
    holdOpen(volumeId, layerId = null) {
      const handle = Symbol()
      open.set(handle, fakeLayerPath(volumeId, layerId))
      return () => void open.delete(handle)
    },
    usage: () => way.call(() => usageOf(world)),
    createVolume: (request) => way.call(() => createVolume(world, request)),
    deleteVolume: (volumeId) =>
      way.call(() => {
        refuseOpen(`/fake-storage/volumes/${volumeId}/`)
        world.volumes.delete(volumeId)
      }),
    openVolume: (volumeId, format) => way.call(() => ({ path: openVolume(world, volumeId, format) })),
    ...createRecoveryCalls(world, way, refuseOpen),
    openGuestState: (volumeId, { variables, hasTpm }) =>
      way.call(() => {
        volumeOf(world, volumeId)
        const folder = `/fake-storage/volumes/${volumeId}`
        return {
          variablesPath: variables === null ? null : `${folder}/firmware-variables.fd`,
          tpmDirectory: hasTpm ? `${folder}/tpm` : null,
        }
      }),
    ...createManifestCalls(world, way.call),
    listVolumes: () => way.call(() => [...world.volumes.keys()]),
    claimVolume: (volumeId, ownership) => way.call(() => claim(volumeOf(world, volumeId).claims, ownership)),
    readClaim: (volumeId) => way.call(() => world.volumes.get(volumeId)?.claims.at(0)),
    readSlot: (slot) =>
      way.call(() => {
        if (world.torn.has(slot)) throw new DialtoneError('storage-failed', `Slot ${slot} is torn`)
        return world.slots.get(slot)
      }),
    writeSlot: (slot, content) =>
      way.call(() => {
        world.torn.delete(slot)
        if (content === '') world.slots.delete(slot)
        else world.slots.set(slot, content)
      }),
  }
}

/** What a machine that recovers from memory needs of it. */
function createRecoveryCalls(world: FakeWorld, way: Way, refuseOpen: (path: string) => void): RecoveryCalls {
  return {
    addLayer: (volumeId, request) => way.call(() => addLayer(world, volumeId, request)),
    useLayer: (volumeId, layerId) => way.call(() => useLayer(world, volumeId, layerId)),
    listLayers: (volumeId) => way.call(() => listLayers(world, volumeId)),
    layerPath: (volumeId, layerId) => way.call(() => layerPath(world, volumeId, layerId)),
    removeLayer: (volumeId, layerId) =>
      way.call(() => {
        refuseOpen(fakeLayerPath(volumeId, layerId))
        removeLayer(world, volumeId, layerId)
      }),
    layerMerged: (volumeId, layerId, on) => way.call(() => layerMerged(world, volumeId, { layerId, on })),
    publishBase: (volumeId, layerId, { version }) => way.call(() => publishBase(world, { volumeId, layerId }, version)),
    removeBase: (version) => way.call(() => removeBase(world, version)),
    storeImage: (manifest, files) => way.call(() => storeImage(world, manifest, files)),
    listImages: (volumeId) => way.call(() => listImages(world, volumeId)),
    fetchImage: (volumeId, imageId, into) => way.call(() => fetchImage(world, { volumeId, imageId }, into)),
    ...createSnapshotCalls(world, way.call, refuseOpen),
    ...createCloneCalls(world, way.call, refuseOpen),
    removeImage: (volumeId, imageId) => way.call(() => void world.volumes.get(volumeId)?.images.delete(imageId)),
  }
}

type RecoveryCalls = SnapshotStorage &
  CloneStorage &
  Pick<
    Storage,
    | 'addLayer'
    | 'useLayer'
    | 'listLayers'
    | 'layerPath'
    | 'removeLayer'
    | 'layerMerged'
    | 'publishBase'
    | 'removeBase'
    | 'storeImage'
    | 'listImages'
    | 'fetchImage'
    | 'removeImage'
  >

type Way = {
  setFault(fault: FakeStorageFault): void
  call<T>(effect: () => T | Promise<T>): Promise<T>
}

/** How calls of one host reach the storage. */
function createWay(hostName: string, sleep: (delayMs: number) => Promise<void>): Way {
  let fault: FakeStorageFault = { kind: 'none' }
  let changed = Promise.withResolvers<void>()
  return {
    setFault(next) {
      fault = next
      changed.resolve()
      changed = Promise.withResolvers()
    },
    async call(effect) {
      while (fault.kind === 'hangs') await changed.promise
      if (fault.kind === 'slow') await sleep(fault.delayMs)
      if (fault.kind === 'refuses') throw new DialtoneError('storage-failed', `The storage refuses ${hostName}`)
      return effect()
    },
  }
}

function createVolume(world: FakeWorld, request: VolumeRequest): void {
  if (request.base !== undefined && request.format !== 'qcow2') {
    throw new DialtoneError('invalid-input', 'Only a qcow2 volume can be made from a template')
  }
  const present = world.volumes.get(request.volumeId)?.request
  if (present === undefined) {
    takeBase(world, request)
    const first = { on: undefined, usedBytes: 0, modifiedAt: world.now() }
    const layers = new Map<LayerId | null, FakeLayer>([[null, first]])
    world.volumes.set(request.volumeId, {
      request,
      claims: [],
      layers,
      current: null,
      replaced: new Map(),
      images: new Map(),
      snapshots: new Map(),
      letGo: new Set(),
      guestState: '',
      keptGuestStates: new Map(),
      manifest: undefined,
    })
    return
  }
  const isSame =
    present.format === request.format &&
    present.sizeMiB === request.sizeMiB &&
    present.base?.version === request.base?.version
  if (!isSame) throw new DialtoneError('wrong-state', `Volume ${request.volumeId} exists already and is another`)
}

function takeBase(world: FakeWorld, { base }: VolumeRequest): void {
  if (base === undefined || world.bases.has(base.version)) return
  if (base.path === undefined) throw new DialtoneError('not-found', `The base ${base.version} is not on this storage`)
  world.bases.set(base.version, undefined)
}

function openVolume(world: FakeWorld, volumeId: VolumeId, format: DiskFormat): string {
  const { request, current } = volumeOf(world, volumeId)
  if (request.format !== format) throw new DialtoneError('not-found', `Volume ${volumeId} has no ${format} disk`)
  if (format === 'raw') return `/fake-storage/volumes/${volumeId}/disk.raw`
  const needer = neederOf(world, volumeId, current)
  if (needer === undefined) return fakeLayerPath(volumeId, current)
  throw new DialtoneError('wrong-state', `Volume ${volumeId} is not opened for writing: ${needer} needs it`)
}

function claim(claims: Ownership[], wanted: Ownership): void {
  const [highest] = claims
  const order = highest === undefined ? 1 : compareLives(wanted, highest)
  if (order === 0 && highest !== undefined && isSameOwner(highest, wanted)) return
  if (order <= 0) {
    const owner = `${highest?.hostName}, epoch ${highest?.life.epoch}, incarnation ${highest?.life.incarnation}`
    throw new DialtoneError('stale-epoch', `The volume is claimed by ${owner}`, { detail: highest })
  }
  claims.unshift(wanted)
  claims.splice(2)
}

function compareLives(left: Ownership, right: Ownership): number {
  return left.life.epoch - right.life.epoch || left.life.incarnation - right.life.incarnation
}

function usageOf(world: FakeWorld): { readonly totalMiB: number; readonly freeMiB: number } {
  const usedMiB = [...world.volumes.values()].reduce((sum, { request }) => sum + request.sizeMiB, 0)
  return { totalMiB: world.totalMiB, freeMiB: Math.max(0, world.totalMiB - usedMiB) }
}
