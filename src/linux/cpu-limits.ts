/**
 * How much of the processors the processes of a cgroup may take. By cgroup v2 where that has the cpu controller; on a host whose cpu
 * controller is still mounted the old way (v1, "hybrid"), by a cgroup of the same path there.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { DialtoneError } from '../model/dialtone-error.ts'
import { findCgroupMount, processesIn, removeCgroup } from './cgroup.ts'

export type CpuLimits = {
  /** Of one processor; null: as much as there is. */
  readonly cpuPercent: number | null
  /** Its share when processors are short; null: the usual one, 100. */
  readonly cpuWeight: number | null
}

const periodUs = 100_000
const usualWeight = 100
const usualShares = 1024

/** Takes effect at once, for what runs in it and for what will. Throws `machine-setup` on a host without a cpu controller. */
export async function limitCpu(directory: string, limits: CpuLimits): Promise<void> {
  const isUnlimited = limits.cpuPercent === null && limits.cpuWeight === null
  if (await hasFile(directory, 'cpu.max')) return writeNew(directory, limits)
  const old = await findOldDirectory(directory)
  // Nothing was ever limited there.
  if (isUnlimited && (old === undefined || !(await hasFile(old, 'cpu.shares')))) return
  if (await enableController(directory)) return writeNew(directory, limits)
  if (old === undefined)
    throw new DialtoneError('machine-setup', 'this host can’t limit processors: its cgroups have no cpu controller')
  await mkdir(old, { recursive: true })
  await writeOld(old, limits)
  for (const pid of await processesIn(directory)) await writeFile(join(old, 'cgroup.procs'), String(pid))
}

/** What was made for the limits of this cgroup and of those below it; nothing is fine. */
export async function removeCpuLimits(directory: string): Promise<void> {
  const old = await findOldDirectory(directory)
  if (old !== undefined) await removeCgroup(old)
}

async function writeNew(directory: string, { cpuPercent, cpuWeight }: CpuLimits): Promise<void> {
  const quota = cpuPercent === null ? 'max' : String(quotaUs(cpuPercent))
  await writeFile(join(directory, 'cpu.max'), `${quota} ${periodUs}`)
  await writeFile(join(directory, 'cpu.weight'), String(cpuWeight ?? usualWeight))
}

async function writeOld(directory: string, { cpuPercent, cpuWeight }: CpuLimits): Promise<void> {
  const shares = Math.max(2, Math.round(((cpuWeight ?? usualWeight) * usualShares) / usualWeight))
  await writeFile(join(directory, 'cpu.cfs_period_us'), String(periodUs))
  await writeFile(join(directory, 'cpu.cfs_quota_us'), cpuPercent === null ? '-1' : String(quotaUs(cpuPercent)))
  await writeFile(join(directory, 'cpu.shares'), String(shares))
}

/** The kernel takes no quota below a millisecond. */
function quotaUs(cpuPercent: number): number {
  return Math.max(1000, Math.round((cpuPercent * periodUs) / 100))
}

/** Hands the controller down from the mount to this cgroup; false where that is not possible. */
async function enableController(directory: string): Promise<boolean> {
  const mount = await findCgroupMount()
  if (mount === undefined || relative(mount, directory).startsWith('..')) return false
  const above: string[] = []
  for (let at = dirname(directory); at.length >= mount.length; at = dirname(at)) above.unshift(at)
  for (const at of above) {
    const offered = await readFile(join(at, 'cgroup.controllers'), 'utf8').catch(() => '')
    if (!offered.split(/\s+/).includes('cpu')) return false
    const isEnabled = await writeFile(join(at, 'cgroup.subtree_control'), '+cpu').then(
      () => true,
      () => false,
    )
    if (!isEnabled) return false
  }
  return hasFile(directory, 'cpu.max')
}

/** The same cgroup in the old hierarchy of the cpu controller, if there is one. */
async function findOldDirectory(directory: string): Promise<string | undefined> {
  const mount = await findCgroupMount()
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  const line = mounts.split('\n').find((entry) => / - cgroup \S+ \S*\bcpu\b/.test(entry))
  const old = line?.split(' ')[4]
  if (mount === undefined || old === undefined || relative(mount, directory).startsWith('..')) return undefined
  return join(old, relative(mount, directory))
}

function hasFile(directory: string, name: string): Promise<boolean> {
  return readFile(join(directory, name)).then(
    () => true,
    () => false,
  )
}
