/**
 * What an agent writes down about a machine before it acts, in the machine's run directory: enough for the next agent on this boot to
 * re-adopt it, restart it on the spot, or know that it must not. A record that is gone means: nothing of that machine starts here.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type VmId, vmIdSchema } from '../../model/ids.ts'
import { machineOrderSchema } from '../../model/machine-order.ts'

export const machineRecordSchema = z.object({
  machine: machineOrderSchema,
  epoch: z.number().int(),
  incarnation: z.number().int(),
  bootId: z.string(),
  /** False until the vCPUs were let run once under this epoch: an unconfirmed start is void for the next session. */
  confirmed: z.boolean(),
  /** What the last order wanted. A machine that is to be stopped is not restarted when it ends. */
  wanted: z.enum(['running', 'stopped']),
})
export type MachineRecord = z.infer<typeof machineRecordSchema>

export type MachineRecords = {
  write(record: MachineRecord): Promise<void>
  /** Durable when it returns: after this no agent starts that machine by itself. */
  remove(vmId: VmId): Promise<void>
  readAll(): Promise<readonly MachineRecord[]>
  runDirectory(vmId: VmId): string
}

const recordFile = 'order.json'

export function createMachineRecords(directory: string): MachineRecords {
  const runDirectory = (vmId: VmId) => join(directory, vmId)
  return {
    runDirectory,
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
      const names = await readdir(directory).catch(ifMissing([]))
      const records = await Promise.all(names.map((name) => readRecord(join(directory, name), name)))
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
