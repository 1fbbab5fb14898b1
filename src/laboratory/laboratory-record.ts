/** `lab.json`: what a laboratory is made of. It is the first thing an `up` writes and the last thing a `down` removes. */
import { open, readdir, readFile, rename } from 'node:fs/promises'
import { z } from 'zod'
import { DialtoneError } from '../model/dialtone-error.ts'
import { timingsSchema } from '../model/timings.ts'
import { laboratoriesFolder, laboratoryFolders } from './laboratory-folders.ts'

/** The programs that are run; tests put stand-ins here. */
export const programsSchema = z.strictObject({ controller: z.string(), agent: z.string(), watchdog: z.string() })
export type Programs = z.infer<typeof programsSchema>

/** The times of the protection protocol that this laboratory changes. */
export const timingOverridesSchema = timingsSchema.partial().strict()
export type TimingOverrides = z.infer<typeof timingOverridesSchema>

export const laboratoryHostSchema = z.object({
  name: z.string(),
  number: z.number().int().min(1),
  address: z.ipv4(),
})
export type LaboratoryHost = z.infer<typeof laboratoryHostSchema>

export const laboratoryRecordSchema = z.object({
  name: z.string(),
  /** Small number, unique among the laboratories of this home. */
  number: z.number().int().min(1),
  /** `up` only when everything was there: a laboratory that is found `starting` or `stopping` with nobody at work on it is a leftover. */
  state: z.enum(['starting', 'up', 'stopping']),
  createdAt: z.iso.datetime(),
  subnet: z.cidrv4(),
  gateway: z.ipv4(),
  prefixLength: z.number().int(),
  vmAddresses: z.object({ from: z.ipv4(), to: z.ipv4() }),
  apiUrl: z.url(),
  apiPort: z.number().int(),
  agentPort: z.number().int(),
  cgroupDirectory: z.string(),
  hosts: z.array(laboratoryHostSchema),
  memoryPerHostMiB: z.number().int(),
  cpusPerHost: z.number().int(),
  /** How long a host's power-on self test takes. */
  postDelayMs: z.number().int(),
  timings: timingOverridesSchema,
  fileLocking: z.boolean(),
  /** Where hosts keep memory images: in memory, or on the disk. */
  memoryImages: z.enum(['ram', 'disk']),
  powerFence: z.boolean(),
  /** Where hosts mount the shared storage from; null: they see the machine's own folder. */
  storageServer: z.object({ address: z.ipv4(), port: z.number().int() }).nullable().default(null),
  programs: programsSchema,
})
export type LaboratoryRecord = z.infer<typeof laboratoryRecordSchema>

/** What memory images may take on each host. */
export function imageBudgetMiB({ memoryPerHostMiB }: Pick<LaboratoryRecord, 'memoryPerHostMiB'>): number {
  return Math.floor(memoryPerHostMiB / 2)
}

/** Undefined when there is no such laboratory. */
export async function readRecord(home: string, laboratory: string): Promise<LaboratoryRecord | undefined> {
  const path = laboratoryFolders(home, laboratory).record
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw new DialtoneError('machine-setup', `${path} cannot be read`, { cause: error })
  })
  if (text === undefined) return undefined
  const parsed = laboratoryRecordSchema.safeParse(jsonOf(text))
  if (parsed.success) return parsed.data
  throw new DialtoneError('machine-setup', `${path} is damaged: ${z.prettifyError(parsed.error)}`)
}

/** Replaces the record as a whole; durable when it returns. */
export async function writeRecord(home: string, record: LaboratoryRecord): Promise<void> {
  const path = laboratoryFolders(home, record.name).record
  const temporary = `${path}.new`
  {
    await using file = await open(temporary, 'w', 0o644)
    await file.writeFile(`${JSON.stringify(record, null, 2)}\n`)
    await file.sync()
  }
  await rename(temporary, path)
}

/** All laboratories of this home whose record can be read. */
export async function readAllRecords(home: string): Promise<LaboratoryRecord[]> {
  const entries = await readdir(laboratoriesFolder(home), { withFileTypes: true }).catch(() => [])
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  const records = await Promise.all(names.map((name) => readRecord(home, name).catch(() => undefined)))
  return records.filter((record) => record !== undefined).sort((a, b) => a.number - b.number)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
