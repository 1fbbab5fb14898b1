/** The parts of a host in memory: records, cgroups and image cache, and the death of an agent that was using them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { ImageId, VmId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import { endFakeMachine, type FakeWorld } from '../hypervisor/fake/fake-world.ts'
import type { CachedMemoryImage, MemoryImageCache } from '../memory-images/memory-image-cache.ts'
import type { SpareLayer } from '../recovery/spare-layer.ts'
import type { MachineCgroups } from './machine-ports.ts'
import type { MachineRecord, MachineRecords } from './machine-record.ts'

export const cgroupOf = (vmId: VmId) => `/cgroup/machines/${vmId}`
const spareCgroupOf = (vmId: VmId) => `/cgroup/spares/${vmId}`

/** Images are summed by a program, so what is imaginary of them lies in small files all the same. */
export const folder = mkdtempSync(join(tmpdir(), 'dialtone-machine-host-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

export async function writeFileInFolder(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}

export type FakeRecords = MachineRecords & {
  readonly processes: Map<string, readonly SpareLayer[]>
  /** The next writes fail, as on a full disk. */
  isFull: boolean
}

export function createRecords(written: Map<VmId, MachineRecord>, history: string[]): FakeRecords {
  const processes = new Map<string, readonly SpareLayer[]>()
  const records: FakeRecords = {
    processes,
    isFull: false,
    async write(record) {
      await Promise.resolve()
      if (records.isFull) throw new DialtoneError('storage-failed', 'no space left on device')
      const { epoch, incarnation, confirmed, wanted } = record
      history.push(`write ${epoch}.${incarnation} ${confirmed ? 'confirmed' : 'unconfirmed'} ${wanted}`)
      written.set(record.machine.vmId, record)
    },
    async remove(vmId) {
      await Promise.resolve()
      history.push(`remove ${vmId}`)
      written.delete(vmId)
    },
    readAll: async () => [...written.values()],
    async makeProcessDirectory(vmId, suffix) {
      processes.set(`${vmId}-${suffix}`, [])
      return `${vmId}-${suffix}`
    },
    processDirectory: (name) => join(folder, 'run', name),
    removeProcessDirectory: async (name) => void processes.delete(name),
    listProcessDirectories: async () => [...processes.keys()],
    writeSpareLayers: async (name, layers) => void processes.set(name, layers),
    readSpareLayers: async (name) => processes.get(name) ?? [],
    async keepProcessDirectories(names) {
      for (const name of processes.keys()) if (!names.has(name)) processes.delete(name)
    },
  }
  return records
}

/** The cgroup's processes are those of the world: killing one needs nobody who knows the machine. */
export function createCgroups(world: FakeWorld, history: string[]): MachineCgroups {
  const livingSpares = () => [...world.spares.values()].filter(({ exit }) => exit === undefined)
  return {
    directory: cgroupOf,
    make: async (vmId) => cgroupOf(vmId),
    async kill(vmId, deadlineMs) {
      await Promise.resolve()
      for (const machine of world.machines.values()) {
        if (machine.exit !== undefined || machine.definition.cgroupDirectory !== cgroupOf(vmId)) continue
        if (machine.isUnkillable)
          throw new DialtoneError('deadline-exceeded', `still has processes ${deadlineMs} ms after SIGKILL`)
        history.push(`kill ${vmId}`)
        endFakeMachine(machine, { reason: 'crashed', detail: 'ended by SIGKILL' })
      }
    },
    remove: async () => undefined,
    limit: async () => undefined,
    makeSpare: async (vmId) => spareCgroupOf(vmId),
    async endSpare(vmId) {
      await Promise.resolve()
      for (const spare of livingSpares())
        if (spare.shape.cgroupDirectory === spareCgroupOf(vmId))
          endFakeMachine(spare, { reason: 'crashed', detail: 'ended by SIGKILL' })
    },
    listSpares: async () => livingSpares().map(({ pid, shape }) => ({ name: shape.vmId, pids: [pid] })),
    makeForTools: async () => '/cgroup/tools',
    listPopulated: async () => [],
  }
}

export type FakeImageCache = MemoryImageCache & {
  /** What `ensure` fails with from now on. */
  fault: DialtoneError | undefined
  readonly pins: Map<ImageId, number>
}

export function createImageCache(): FakeImageCache {
  const whole = new Map<ImageId, CachedMemoryImage>()
  const pins = new Map<ImageId, number>()
  const begun = new Map<ImageId, CachedMemoryImage['files']>()
  const filesOf = (imageId: ImageId) => ({
    memory: join(folder, 'images', imageId, 'memory'),
    state: join(folder, 'images', imageId, 'state'),
  })
  const cache: FakeImageCache = {
    fault: undefined,
    pins,
    async ensure({ storage, volumeId, imageId }) {
      if (cache.fault !== undefined) throw cache.fault
      const present = whole.get(imageId)
      if (present !== undefined) return present
      const files = filesOf(imageId)
      await mkdir(dirname(files.memory), { recursive: true })
      const manifest = await storage.fetchImage(volumeId, imageId, files)
      const image = { manifest, files, usedBytes: 2 }
      whole.set(imageId, image)
      return image
    },
    async begin(imageId) {
      if (cache.fault !== undefined) throw cache.fault
      const files = filesOf(imageId)
      begun.set(imageId, files)
      return files
    },
    async finish(manifest) {
      const files = begun.get(manifest.id) ?? filesOf(manifest.id)
      begun.delete(manifest.id)
      const image = { manifest, files, usedBytes: 2 }
      whole.set(manifest.id, image)
      return image
    },
    abandon: async (imageId) => void begun.delete(imageId),
    get: async (imageId) => whole.get(imageId),
    verify: async (imageId) => whole.has(imageId),
    pin: (imageId) => void pins.set(imageId, (pins.get(imageId) ?? 0) + 1),
    unpin(imageId) {
      const count = (pins.get(imageId) ?? 0) - 1
      if (count > 0) pins.set(imageId, count)
      else pins.delete(imageId)
    },
    async remove(imageId, how) {
      if (how?.isForced !== true && pins.has(imageId)) throw new DialtoneError('in-use', `${imageId} is in use`)
      whole.delete(imageId)
    },
    list: async () => [...whole.values()].map((image) => ({ ...image, isPinned: pins.has(image.manifest.id) })),
    usage: async () => ({ budgetMiB: 100, usedMiB: whole.size, pinnedMiB: pins.size, freeMiB: 1_000 }),
  }
  return cache
}

/** Phases, and what was warned of. */
export function createLogger(history: string[], warnings: string[]): Logger {
  const note = (event: string, fields?: Readonly<Record<string, unknown>>) => {
    const { error } = fields ?? {}
    warnings.push(error instanceof Error ? `${event}: ${error.message}` : event)
  }
  return {
    info: (event, fields) => {
      if (event === 'machine.phase') history.push(`phase ${String(fields['to'])}`)
    },
    warn: note,
    error: note,
  }
}

/** The same port in the hands of an agent that can be killed: after that nothing that it waits for comes back to it. */
export function mortal<T extends object>(port: T, signal: AbortSignal): T {
  const orNever = (value: unknown): unknown =>
    value instanceof Promise
      ? value.then(
          (result: unknown) => (signal.aborted ? new Promise(() => undefined) : orMortal(result)),
          (error: unknown) => {
            if (signal.aborted) return new Promise(() => undefined)
            throw error
          },
        )
      : value
  const orMortal = (result: unknown): unknown => (holdsFunctions(result) ? mortal(result, signal) : result)
  return new Proxy(port, {
    get(target, key, receiver) {
      const value: unknown = Reflect.get(target, key, receiver)
      if (typeof value !== 'function') return orNever(value)
      return (...given: unknown[]) =>
        signal.aborted ? new Promise(() => undefined) : orNever(value.apply(target, given))
    },
  })
}

function holdsFunctions(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || value instanceof Map) return false
  return Object.values(value).some((one) => typeof one === 'function' || one instanceof Promise)
}
