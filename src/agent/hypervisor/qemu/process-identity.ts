/** Which process runs a machine, told so that a reused process id is never taken for it: process id, its start time, and the boot. */
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { machineLifeSchema } from '../../../model/machine-order.ts'

const processIdentitySchema = z.object({
  pid: z.number().int().min(1),
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  startTicks: z.string(),
  bootId: z.string(),
})
export type ProcessIdentity = z.infer<typeof processIdentitySchema>

const machineRecordSchema = z.object({ life: machineLifeSchema, process: processIdentitySchema })
export type MachineRecord = z.infer<typeof machineRecordSchema>

/** The identity of a living process, or undefined when there is none with that id. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readStat(pid)
  return stat === undefined ? undefined : { pid, startTicks: stat.startTicks, bootId: await readBootId() }
}

/** True while this very process has not ended. A zombie whose threads are all gone has: its files are closed. */
export async function isProcessAlive(identity: ProcessIdentity): Promise<boolean> {
  const stat = await readStat(identity.pid)
  if (stat === undefined || stat.startTicks !== identity.startTicks) return false
  if ((await readBootId()) !== identity.bootId) return false
  return (stat.state !== 'Z' && stat.state !== 'X') || (await countThreads(identity.pid)) > 1
}

/**
 * Replaces the record as a whole: a reader sees the old or the new one. It is not forced to the disk, since it means nothing after a
 * boot of the host, and a machine that takes over would wait for it.
 */
export async function writeMachineRecord(path: string, record: MachineRecord): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 })
  await rename(`${path}.new`, path)
}

/** Undefined when there is none, or none that a complete start has written. */
export async function readMachineRecord(path: string): Promise<MachineRecord | undefined> {
  try {
    return machineRecordSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return undefined
  }
}

async function readStat(pid: number): Promise<{ state: string; startTicks: string } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The program's name, in parentheses, may contain anything: fields are counted from its end.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, startTicks] = [fields?.[0], fields?.[19]]
  return state === undefined || startTicks === undefined ? undefined : { state, startTicks }
}

async function countThreads(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/task`).catch(() => [])).length
}

async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
}
