/**
 * One storage of a simulated world, as its hosts reach it. A call takes its way there and back; a way can hang, refuse, be slow or be full.
 * What a guest writes takes the same way, and lands when it gets there: perhaps when its process is long dead.
 */
import { z } from 'zod'
import { createFakeStorageWorld, type FakeStorageWorld } from '../../agent/storage/fake/fake-storage.ts'
import { fakeLayerPath } from '../../agent/storage/fake/fake-world.ts'
import type { Storage } from '../../agent/storage/storage.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { layerIdSchema, volumeIdSchema } from '../../model/ids.ts'
import type { StorageSpec } from '../../model/storage.ts'
import { aroundCalls } from '../around-calls.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { ProcessLife } from '../time/process-life.ts'
import type { WorldTime } from '../time/world-time.ts'
import type { StampedDisks } from './stamped-disks.ts'

export type StorageWay =
  | { readonly kind: 'open' }
  | { readonly kind: 'slow'; readonly delayMs: number }
  | { readonly kind: 'refuses' }
  /** What is sent waits and takes effect when the way is open again. */
  | { readonly kind: 'hangs' }
  /** Reads work, writes don't. */
  | { readonly kind: 'full' }

/** What becomes of a write that hangs when its process is killed. */
export type StuckWrites = 'hold-their-process' | 'go-with-it' | 'land-later'

/** A write of a guest on its way. */
export type GuestWrite = {
  readonly hostName: string
  /** Names its process. */
  readonly process: string
  /** It is on the disk. */
  landed(): void
  /** Its process hears that it is. */
  answered(): void
  /** The storage said no. */
  failed(): void
}

export type SimulatedStorage = {
  readonly spec: StorageSpec
  readonly stuckWrites: StuckWrites
  readonly contents: FakeStorageWorld
  /** As the agent that lives this life sees it from its host. */
  viewFrom(hostName: string, life: ProcessLife): Storage
  /** The answer has it land at once, if it is on its way and does not hang. A slow storage is slow to answer: what got there has landed. */
  write(write: GuestWrite): () => void
  /** Whether writes of this process wait for the way to be open. */
  holds(process: string): boolean
  /** Its process was killed, and nothing of it is held. */
  processEnded(process: string): void
  /** The host was reset or lost power: what had not left it is gone. */
  hostEnded(hostName: string): void
  /** From one host, or from all. */
  setWay(hostName: string | undefined, way: StorageWay): void
}

export type SimulatedStorageOptions = {
  readonly spec: StorageSpec
  readonly time: WorldTime
  readonly random: SeededRandom
  readonly stuckWrites: StuckWrites
  readonly disks: StampedDisks
  /** D: whatever has left its host lands within this time. */
  readonly drainMs: number
  /** Without them no volume is refused to anybody: claims detect mistakes, and nothing may rest on them. */
  readonly hasClaims: boolean
}

type Request = {
  readonly hostName: string
  readonly process: string | undefined
  readonly isWrite: boolean
  /** It gets there; the answer takes so much longer than usual. */
  go(slowMs: number): void
  fail(): void
  /** While it is on its way. */
  callOff?: () => void
}

/** Every file of every memory image. */
export const imageBytes = new Uint8Array([1])

const open: StorageWay = { kind: 'open' }
const callTakesMs = [0.3, 2] as const
const writeTakesMs = [0.5, 6] as const
/** This share of the writes takes up to D. */
const lateShare = 0.03

export function createSimulatedStorage(options: SimulatedStorageOptions): SimulatedStorage {
  const { spec, time, random, stuckWrites, drainMs } = options
  const ways = new Map<string, StorageWay>()
  let wayOfAll = open
  let stuck: readonly Request[] = []
  const contents = createFakeStorageWorld({
    shared: spec.shared,
    sleep: (delayMs) => new Promise((resolve) => void time.after(delayMs, resolve)),
    now: () => new Date(time.wallTimeMs()),
    files: { read: async () => imageBytes, write: async () => undefined, remove: async () => undefined },
  })
  const draw = ([least, most]: readonly [number, number]) => random.between(least, most)
  const wayFrom = (hostName: string) => (wayOfAll.kind === 'open' ? (ways.get(hostName) ?? open) : wayOfAll)

  const travel = (request: Request): void => {
    const way = wayFrom(request.hostName)
    if (way.kind === 'hangs') {
      stuck = [...stuck, request]
      return
    }
    const isRefused = way.kind === 'refuses' || (way.kind === 'full' && request.isWrite)
    const isLate = request.process !== undefined && random.chance(lateShare)
    const takesMs = isLate
      ? random.between(drainMs / 4, drainMs * 0.9)
      : draw(request.process === undefined ? callTakesMs : writeTakesMs)
    const arrive = isRefused ? request.fail : () => request.go(way.kind === 'slow' ? way.delayMs : 0)
    request.callOff = time.after(takesMs, () => {
      delete request.callOff
      arrive()
    })
  }
  const freeWhatMoves = () => {
    const before = stuck
    stuck = []
    for (const request of before) travel(request)
  }

  return {
    spec,
    stuckWrites,
    contents,
    viewFrom: (hostName, life) => viewFrom(options, { contents, travel }, { hostName, life }),
    write({ hostName, process, landed, answered, failed }) {
      const go = (slowMs: number) => {
        landed()
        if (slowMs === 0) answered()
        else time.after(slowMs, answered)
      }
      const request: Request = { hostName, process, isWrite: true, go, fail: failed }
      travel(request)
      return () => {
        if (request.callOff === undefined) return
        request.callOff()
        delete request.callOff
        go(0)
      }
    },
    holds: (process) => stuck.some((request) => request.process === process),
    processEnded(process) {
      if (stuckWrites !== 'land-later') stuck = stuck.filter((request) => request.process !== process)
    },
    hostEnded(hostName) {
      stuck = stuck.filter((request) => request.hostName !== hostName)
    },
    setWay(hostName, way) {
      if (hostName === undefined) wayOfAll = way
      else ways.set(hostName, way)
      freeWhatMoves()
    },
  }
}

/** Each call goes there, takes effect, and its answer comes back into the agent that asked. */
function viewFrom(
  { spec, time, random, disks, hasClaims }: SimulatedStorageOptions,
  { contents, travel }: { readonly contents: FakeStorageWorld; travel(request: Request): void },
  { hostName, life }: { readonly hostName: string; readonly life: ProcessLife },
): Storage {
  const [least, most] = callTakesMs
  return aroundCalls(contents.storageOf(hostName), (name, effect, given) => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const back = (settle: () => void) => void time.after(random.between(least, most), () => life.enter(settle))
    travel({
      hostName,
      process: undefined,
      isWrite: writesMuch(name),
      fail: () =>
        back(() => reject(new DialtoneError('storage-failed', `${spec.name} refuses ${name} of ${hostName}`))),
      go(slowMs) {
        const backLater = (settle: () => void) =>
          void (slowMs === 0 ? back(settle) : time.after(slowMs, () => back(settle)))
        if (name === 'layerMerged') carryUp(contents, disks, given)
        const claimed = name === 'claimVolume' && !hasClaims ? Promise.resolve() : effect()
        void claimed.then(
          (value) => backLater(() => resolve(value)),
          (error: unknown) => backLater(() => reject(error instanceof Error ? error : new Error(String(error)))),
        )
      },
    })
    return promise
  })
}

const mergeSchema = z.tuple([volumeIdSchema, layerIdSchema, layerIdSchema.nullable()])

/** What was in the layers that a layer takes into itself is in it from now on. */
function carryUp(contents: FakeStorageWorld, disks: StampedDisks, given: readonly unknown[]): void {
  const [volumeId, layerId, on] = mergeSchema.parse(given)
  const chain = contents.chainUnder(volumeId, fakeLayerPath(volumeId, layerId))
  const end = chain.indexOf(fakeLayerPath(volumeId, on))
  const [top] = chain
  if (top !== undefined && end > 0) disks.land(top, disks.newest(chain.slice(0, end)))
}

/** What a full storage refuses: not what is there already, such as a slot. */
function writesMuch(name: string): boolean {
  return ['createVolume', 'addLayer', 'storeImage', 'publishBase', 'claimVolume'].includes(name)
}
