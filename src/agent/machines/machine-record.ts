/**
 * What an agent writes down about a machine before it acts, in the machine's run directory: enough for the next agent on this boot to
 * re-adopt it, restart it on the spot, or know that it must not. A record that is gone means: nothing of that machine starts here.
 */
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { revertedSchema } from '../../model/agent-protocol/snapshot-orders.ts'
import { imageIdSchema, layerIdSchema, taskIdSchema, type VmId, vmIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { machineOrderSchema, startKindSchema } from '../../model/machine-order.ts'
import { type SpareLayer, spareLayerSchema } from '../recovery/spare-layer.ts'

export const machineRecordSchema = z.object({
  machine: machineOrderSchema,
  epoch: z.number().int(),
  incarnation: z.number().int(),
  bootId: z.string(),
  /** False until the vCPUs were let run once under this epoch: an unconfirmed start is void for the next session. */
  confirmed: z.boolean(),
  /** It comes from another host while it runs: until it is confirmed, it waits for the leader's word, also through the next agent. */
  isArriving: z.boolean().default(false),
  /** Name of the run directory of its process. */
  process: z.string().regex(/^[a-z0-9-]+$/),
  tapName: z.string(),
  /** How the present life began, and from what. */
  startedBy: startKindSchema,
  imageId: imageIdSchema.nullable(),
  /** The layers that its disks are written to, as far as known. */
  layers: z.array(z.object({ volumeId: volumeIdSchema, layerId: layerIdSchema.nullable() })),
  /** Its owner has paused it: one that stands still for another reason goes on by itself. */
  isPaused: z.boolean(),
  /** Layers that nothing needs, and that could not be removed because others lay on them, such as another host's spare. */
  unneededLayers: z.array(z.object({ volumeId: volumeIdSchema, layerId: layerIdSchema })),
  /** What the last order wanted. A machine that is to be stopped is not restarted when it ends. */
  wanted: z.enum(['running', 'stopped']),
  /**
   * The host that was sent all of it, or the storage that its disk goes to: nothing of it runs here by itself any more, until the leader
   * says that it is alone here, or which disk is its own.
   */
  handedOverTo: z.string().nullable().default(null),
  /** The last time that it was let go on from a snapshot here, by the task that wanted it. */
  lastRevert: z.object({ taskId: taskIdSchema, reverted: revertedSchema }).nullable().default(null),
})
export type MachineRecord = z.infer<typeof machineRecordSchema>

export type MachineRecords = {
  write(record: MachineRecord): Promise<void>
  /** Durable when it returns: after this no agent starts that machine by itself. */
  remove(vmId: VmId): Promise<void>
  readAll(): Promise<readonly MachineRecord[]>
  /** Makes a new run directory for a process of this machine, and gives its name. */
  makeProcessDirectory(vmId: VmId, suffix: string): Promise<string>
  processDirectory(name: string): string
  removeProcessDirectory(name: string): Promise<void>
  listProcessDirectories(): Promise<readonly string[]>
  /** Beside a process: the layers that it has to itself, for whoever finds them after a crash. */
  writeSpareLayers(process: string, layers: readonly SpareLayer[]): Promise<void>
  readSpareLayers(process: string): Promise<readonly SpareLayer[]>
  /** Removes the run directories of all processes but these. */
  keepProcessDirectories(names: ReadonlySet<string>): Promise<void>
}

const recordFile = 'order.json'
const spareLayersFile = 'layers.json'

/** `directory`: holds one folder a machine for its record, and one a process for its sockets. */
export function createMachineRecords(directory: string): MachineRecords {
  const machines = join(directory, 'machines')
  const processes = join(directory, 'processes')
  const runDirectory = (vmId: VmId) => join(machines, vmId)
  return {
    processDirectory: (name) => join(processes, name),
    async makeProcessDirectory(vmId, suffix) {
      const name = `${vmId}-${suffix}`
      await mkdir(join(processes, name), { recursive: true, mode: 0o755 })
      return name
    },
    removeProcessDirectory: (name) => rm(join(processes, name), { recursive: true, force: true }),
    writeSpareLayers: (name, layers) =>
      writeFile(join(processes, name, spareLayersFile), JSON.stringify(layers), { mode: 0o600 }),
    async readSpareLayers(name) {
      const text = await readFile(join(processes, name, spareLayersFile), 'utf8').catch(ifMissing('[]'))
      return z.array(spareLayerSchema).parse(JSON.parse(text))
    },
    listProcessDirectories: () => readdir(processes).catch(ifMissing([])),
    async keepProcessDirectories(names) {
      for (const name of await readdir(processes).catch(ifMissing([])))
        if (!names.has(name)) await rm(join(processes, name), { recursive: true, force: true })
    },
    async write(record) {
      const folder = runDirectory(record.machine.vmId)
      await mkdir(folder, { recursive: true, mode: 0o755 })
      const temporary = join(folder, `${recordFile}.new`)
      const file = await open(temporary, 'w', 0o600)
      await file.writeFile(JSON.stringify(record))
      await file.sync()
      await file.close()
      await rename(temporary, join(folder, recordFile))
    },
    async remove(vmId) {
      await rm(join(runDirectory(vmId), recordFile), { force: true })
      await syncDirectory(runDirectory(vmId))
      await rm(runDirectory(vmId), { recursive: true, force: true })
    },
    async readAll() {
      const names = await readdir(machines).catch(ifMissing([]))
      const records = await Promise.all(names.map((name) => readRecord(join(machines, name), name)))
      return records.filter((record) => record !== undefined)
    },
  }
}

async function readRecord(folder: string, name: string): Promise<MachineRecord | undefined> {
  if (!vmIdSchema.safeParse(name).success) return undefined
  const text = await readFile(join(folder, recordFile), 'utf8').catch(ifMissing(undefined))
  if (text === undefined) return undefined
  return machineRecordSchema.parse(JSON.parse(text))
}

/** Only what is not there is no record: an agent that can't read one must not believe that nothing runs. */
function ifMissing<T>(fallback: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return fallback
    throw error
  }
}

async function syncDirectory(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  await handle?.sync()
  await handle?.close()
}
