/** Removes everything of a laboratory and nothing else. Works for a half-made one, and again after it was itself interrupted. */
import { readdir, rm, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { findCgroupMount, killCgroupAndWait, removeCgroup } from '../linux/cgroup.ts'
import { removeCpuLimits } from '../linux/cpu-limits.ts'
import { mountsBelow } from '../linux/mounts.ts'
import { runCommand } from '../linux/run-command.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { removeFabric } from './fabric.ts'
import { laboratoryFolders } from './laboratory-folders.ts'
import { cgroupNameOf, interfaceOf, ownerMarkOf } from './laboratory-names.ts'
import { readRecord, writeRecord } from './laboratory-record.ts'
import { releaseCgroupMount } from './reserve-laboratory.ts'

/** Processes in uninterruptible I/O may take that long to die. */
const killDeadlineMs = 20_000

/** Ends the laboratory and deletes its folder. The caller holds its lock. False when there was nothing. */
export async function takeDown(home: string, laboratory: string): Promise<boolean> {
  const folders = laboratoryFolders(home, laboratory)
  // A damaged record doesn't keep the laboratory alive: all names follow from its own.
  const record = await readRecord(home, laboratory).catch(() => undefined)
  if (record !== undefined) await writeRecord(home, { ...record, state: 'stopping' })
  const entries: readonly string[] = await readdir(folders.root).catch(() => [])
  const isKnown = entries.length === 0 || record !== undefined || entries.includes('lab.json')
  if (!isKnown) throw new DialtoneError('wrong-state', `${folders.root} has no lab.json: it is not a laboratory`)
  const hadParts = await endParts(home, laboratory)
  await removeFolder(home, laboratory)
  await releaseCgroupMount(home)
  return hadParts || entries.length > 0
}

/** Kills every process and deletes namespaces, interfaces and cgroups; files stay. False when there was nothing. */
export async function endParts(home: string, laboratory: string): Promise<boolean> {
  const owner = await ownerOf(laboratory)
  const mark = ownerMarkOf(laboratoryFolders(home, laboratory).root)
  const hasFolder = (await readdir(laboratoryFolders(home, laboratory).root).catch(() => [])).length > 0
  // Without a mark the parts are those of an `up` that was killed before it made the interface, and then the folder is here.
  if (owner === undefined ? !hasFolder : owner !== mark) return false
  const mount = await findCgroupMount()
  if (mount !== undefined) {
    const directory = join(mount, cgroupNameOf(laboratory))
    // All at once, the hardware included: nothing can be started anew in between.
    await killCgroupAndWait(directory, killDeadlineMs)
    await removeCpuLimits(directory)
    await removeCgroup(directory)
  }
  await removeFabric(laboratory, home)
  return true
}

/** Throws `name-taken` when a laboratory of another home has this name: names of namespaces are the machine's. */
export async function checkNotOfAnotherHome(home: string, laboratory: string): Promise<void> {
  const owner = await ownerOf(laboratory)
  if (owner === undefined || owner === ownerMarkOf(laboratoryFolders(home, laboratory).root)) return
  const whose = owner === '' ? 'something that is no laboratory' : owner.slice(ownerMarkOf('').length)
  throw new DialtoneError('name-taken', `${interfaceOf(laboratory)} belongs to ${whose}: choose another name`)
}

const linksSchema = z.array(z.object({ ifname: z.string().optional(), ifalias: z.string().optional() }))

/** The mark of the interface of that name; empty when it has none, undefined without such an interface. */
async function ownerOf(laboratory: string): Promise<string | undefined> {
  const json = await runCommand('ip', ['-json', 'link', 'show'], { timeoutMs: 10_000 })
  const link = linksSchema.parse(JSON.parse(json || '[]')).find(({ ifname }) => ifname === interfaceOf(laboratory))
  return link === undefined ? undefined : (link.ifalias ?? '')
}

/** The record goes last, so that an interrupted removal is recognised and finished. */
async function removeFolder(home: string, laboratory: string): Promise<void> {
  const folders = laboratoryFolders(home, laboratory)
  const [mount] = await mountsBelow(folders.root)
  if (mount !== undefined) throw new DialtoneError('in-use', `${mount} is mounted: unmount it and repeat`)
  const entries: readonly string[] = await readdir(folders.root).catch(() => [])
  for (const entry of entries) {
    if (entry !== 'lab.json') await rm(join(folders.root, entry), { recursive: true, force: true })
  }
  await unlink(folders.record).catch(ifMissing)
  await rmdir(folders.root).catch(ifMissing)
}

function ifMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
