/**
 * A storage in memory. One world is one storage; every host sees it through its own `storageOf(hostName)`, with faults of its own, so
 * that a storage which one host lost, and which others still use, can be played.
 */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { VolumeId } from '../../../model/ids.ts'
import type { Ownership, Storage, VolumeRequest } from '../storage.ts'

/** What a host's way to the storage does to each call. */
export type FakeStorageFault =
  | { readonly kind: 'none' }
  | { readonly kind: 'slow'; readonly delayMs: number }
  | { readonly kind: 'refuses' }
  /** Calls wait until the fault is replaced, and then take effect, as with a network storage that comes back. */
  | { readonly kind: 'hangs' }

export type FakeStorage = Storage & {
  setFault(fault: FakeStorageFault): void
  /** Plays a hypervisor of this host that has the disk open, until the answer is called. */
  holdOpen(volumeId: VolumeId): () => void
}

export type FakeStorageWorld = {
  storageOf(hostName: string): FakeStorage
  /** The slot's block fails its checksum from now on, until it is written again. */
  tearSlot(slot: number): void
}

export type FakeStorageOptions = {
  readonly shared: boolean
  readonly sleep: (delayMs: number) => Promise<void>
  /** 100,000 MiB. */
  readonly totalMiB?: number
}

type Volume = { readonly request: VolumeRequest; readonly claims: Ownership[] }
type World = {
  readonly volumes: Map<VolumeId, Volume>
  readonly slots: Map<number, string>
  readonly torn: Set<number>
  readonly totalMiB: number
}

export function createFakeStorageWorld(options: FakeStorageOptions): FakeStorageWorld {
  const world: World = { volumes: new Map(), slots: new Map(), torn: new Set(), totalMiB: options.totalMiB ?? 100_000 }
  const hosts = new Map<string, FakeStorage>()
  return {
    storageOf(hostName) {
      const storage = hosts.get(hostName) ?? createHostView(hostName, world, options)
      hosts.set(hostName, storage)
      return storage
    },
    tearSlot: (slot) => void world.torn.add(slot),
  }
}

function createHostView(hostName: string, world: World, options: FakeStorageOptions): FakeStorage {
  const openVolumes = new Set<VolumeId>()
  const way = createWay(hostName, options.sleep)
  return {
    capabilities: { shared: options.shared, pills: options.shared },
    setFault: way.setFault,
    holdOpen(volumeId) {
      openVolumes.add(volumeId)
      return () => void openVolumes.delete(volumeId)
    },
    usage: () => way.call(() => usageOf(world)),
    createVolume: (request) => way.call(() => createVolume(world, request)),
    deleteVolume: (volumeId) =>
      way.call(() => {
        if (openVolumes.has(volumeId)) throw new DialtoneError('in-use', `Volume ${volumeId} is open on ${hostName}`)
        world.volumes.delete(volumeId)
      }),
    openVolume: (volumeId, format) =>
      way.call(() => {
        if (volumeOf(world, volumeId).request.format !== format) {
          throw new DialtoneError('not-found', `Volume ${volumeId} has no ${format} disk`)
        }
        return { path: `/fake-storage/volumes/${volumeId}/disk.${format}` }
      }),
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

type Way = {
  setFault(fault: FakeStorageFault): void
  call<T>(effect: () => T): Promise<T>
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

function createVolume(world: World, request: VolumeRequest): void {
  if (request.base !== undefined && request.format !== 'qcow2') {
    throw new DialtoneError('invalid-input', 'Only a qcow2 volume can be made from a template')
  }
  const present = world.volumes.get(request.volumeId)?.request
  if (present === undefined) {
    world.volumes.set(request.volumeId, { request, claims: [] })
    return
  }
  const isSame =
    present.format === request.format &&
    present.sizeMiB === request.sizeMiB &&
    present.base?.version === request.base?.version
  if (!isSame) throw new DialtoneError('wrong-state', `Volume ${request.volumeId} exists already and is another`)
}

function claim(claims: Ownership[], wanted: Ownership): void {
  const [highest] = claims
  const order = highest === undefined ? 1 : compareLives(wanted, highest)
  const isRepeat = order === 0 && highest?.hostName === wanted.hostName && highest.life.vmId === wanted.life.vmId
  if (isRepeat) return
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

function volumeOf(world: World, volumeId: VolumeId): Volume {
  const volume = world.volumes.get(volumeId)
  if (volume === undefined) throw new DialtoneError('not-found', `There is no volume ${volumeId}`)
  return volume
}

function usageOf(world: World): { readonly totalMiB: number; readonly freeMiB: number } {
  const usedMiB = [...world.volumes.values()].reduce((sum, { request }) => sum + request.sizeMiB, 0)
  return { totalMiB: world.totalMiB, freeMiB: Math.max(0, world.totalMiB - usedMiB) }
}
