/**
 * `npm run soak:snapshots -- [--rounds 200] [--seed 1] [--depth 8]`: snapshots of one machine are taken, returned to and let go at random, with
 * memory and without, while it runs. What it has in memory and on both of its disks is checked after every round, the files of the disks after
 * every tenth. Ends with 1 when anything of that doesn't hold.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { z } from 'zod'
import { openLaboratory } from '../../../e2e/open-laboratory.ts'
import { waitForAnswer } from '../../../src/cli/demo/http-probe.ts'
import type { SnapshotView } from '../../../src/model/api/snapshot-routes.ts'
import { summarise } from '../../figure.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    depth: { type: 'string', default: '8' },
  },
})
const vm = 'grown'
const disk = '/dev/vdb'
const run = promisify(execFile)
const troubles: string[] = []
const tookMs = new Map<string, number[]>()
/** What each snapshot has to bring back. */
const contents = new Map<string, { readonly text: string; readonly hasMemory: boolean }>()
let present = { text: 'none', hasMemory: false }
const chainSchema = z.array(z.looseObject({ filename: z.string() }))
const random = chanceFrom(Number(values.seed))

await using laboratory = await openLaboratory('soaksnap', ['--hosts', '1', '--post-delay', '300'])
const { api } = laboratory
const { address } = await laboratory.deploy(vm, { disks: 1 })
for (let round = 1; round <= Number(values.rounds); round += 1) {
  try {
    await change(`round-${round}`)
    await act(round)
    await check(round)
    if (round % 10 === 0) await checkFiles(round)
  } catch (error) {
    trouble(`round ${round}: ${error instanceof Error ? error.message : String(error)}`)
    if (troubles.length > 5) break
  }
  if (round % 10 === 0)
    process.stderr.write(`${round} rounds, ${contents.size} snapshots, ${troubles.length} troubles\n`)
}
for (const name of [...contents.keys()])
  await timed('delete', () => remove(name)).catch((error: unknown) => trouble(String(error)))
await check(0)
const isNeeded = await neededPaths()
for (const path of await layerPaths()) if (!isNeeded.has(path)) trouble(`${path} is left, and nothing needs it`)
const { findings } = await api.call('doctor', {}, { timeoutMs: 30_000 })
for (const { subject, message } of findings) trouble(`doctor: ${subject}: ${message}`)
for (const [what, samples] of tookMs) {
  const { n, median, max } = summarise(samples)
  process.stdout.write(`${n} times ${what}: median ${Math.round(median)} ms, max ${Math.round(max)} ms\n`)
}
process.stdout.write(`seed ${values.seed}, ${troubles.length} troubles\n`)
process.exitCode = troubles.length === 0 ? 0 : 1

/** Takes one, goes back to one, or lets one go. */
async function act(round: number): Promise<void> {
  const { snapshots } = await api.call('listSnapshots', { params: { vm } })
  const isDeep = depthOf(snapshots) >= Number(values.depth)
  const dice = random()
  const chosen = snapshots[Math.floor(random() * snapshots.length)]
  if (chosen === undefined || (dice < 0.5 && !isDeep)) {
    const kind = random() < 0.5 ? 'memory' : 'disk'
    const name = `s${round}`
    await timed(`create ${kind}`, () => begin(api.call('createSnapshot', { params: { vm }, body: { name, kind } })))
    contents.set(name, { text: present.text, hasMemory: kind === 'memory' })
    return
  }
  if (dice < 0.75) {
    const body = { snapshot: chosen.name }
    await timed(`revert ${chosen.kind}`, () => begin(api.call('revertVm', { params: { vm }, body })))
    const expected = contents.get(chosen.name)
    if (expected !== undefined) present = expected
    return
  }
  await timed('delete', () => remove(chosen.name))
}

async function remove(snapshot: string): Promise<void> {
  await begin(api.call('deleteSnapshot', { params: { vm, snapshot } }))
  contents.delete(snapshot)
}

async function begin(call: Promise<{ readonly task: { readonly id: string } }>): Promise<void> {
  await laboratory.untilTaskEnds((await call).task.id)
}

/** In memory, on the root disk and on the other one. */
async function change(text: string): Promise<void> {
  await answers()
  await laboratory.inGuest(
    vm,
    `echo ${text} > /run/mark; echo ${text} > /data/mark; sync; printf %-16s ${text} | dd of=${disk} bs=512 conv=sync,notrunc,fsync 2>/dev/null; dd if=/dev/urandom of=${disk} bs=64k count=16 seek=$(( $RANDOM % 64 + 16 )) conv=fsync 2>/dev/null`,
  )
  present = { text, hasMemory: true }
}

async function check(round: number): Promise<void> {
  await answers()
  const from = `cat /run/mark 2>/dev/null || echo gone; cat /data/mark; dd if=${disk} bs=16 count=1 2>/dev/null`
  const seen = (await laboratory.inGuest(vm, from)).split('\n').map((text) => text.trim())
  const expected = [present.hasMemory ? present.text : 'gone', present.text, present.text]
  if (seen.join() !== expected.join())
    trouble(`after round ${round} it has ${seen.join()} instead of ${expected.join()}`)
}

async function checkFiles(round: number): Promise<void> {
  for (const path of await layerPaths())
    await run('qemu-img', ['check', '-U', path]).catch(async (error: unknown) => {
      // The machine merges its layers meanwhile, and lets them go.
      if ((await layerPaths()).includes(path)) trouble(`round ${round}: ${path}: ${String(error)}`)
    })
}

async function layerPaths(): Promise<readonly string[]> {
  const paths = []
  for (const folder of await diskFolders())
    for (const name of await readdir(folder)) if (name.endsWith('.qcow2')) paths.push(join(folder, name))
  return paths
}

/** What is written to, and what was given up in returns and is kept for some days, each with all that it lies on. */
async function neededPaths(): Promise<ReadonlySet<string>> {
  const needed = new Set<string>()
  for (const folder of await diskFolders()) {
    const current = await readFile(join(folder, 'current'), 'utf8')
    for (const [name] of current.matchAll(/\S+\.qcow2/g)) {
      const { stdout } = await run('qemu-img', ['info', '-U', '--backing-chain', '--output=json', join(folder, name)])
      for (const { filename } of chainSchema.parse(JSON.parse(stdout))) needed.add(filename)
    }
  }
  return needed
}

async function diskFolders(): Promise<readonly string[]> {
  const { disks } = await api.call('getVm', { params: { vm } })
  const { storages } = await api.call('listStorages', {})
  return disks.map(({ volumeId, storageId }) =>
    join(storages.find(({ id }) => id === storageId)?.path ?? '', 'volumes', volumeId),
  )
}

async function answers(): Promise<void> {
  await waitForAnswer({ address, name: vm }, { deadlineMs: 60_000 })
}

function depthOf(snapshots: readonly SnapshotView[]): number {
  let depth = 0
  for (let next = snapshots.find(({ isHere }) => isHere); next !== undefined; depth += 1) {
    const { parentId } = next
    next = snapshots.find(({ id }) => id === parentId)
  }
  return depth
}

async function timed(what: string, work: () => Promise<void>): Promise<void> {
  const beganAtMs = performance.now()
  await work()
  tookMs.set(what, [...(tookMs.get(what) ?? []), performance.now() - beganAtMs])
}

/** The same numbers for the same seed: mulberry32. */
function chanceFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function trouble(what: string): void {
  troubles.push(what)
  process.stderr.write(`TROUBLE ${what}\n`)
}
