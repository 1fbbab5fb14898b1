/**
 * `npm run soak -- [--drills 500] [--machines 5]`: drills of mixed kind in a row on a three-host laboratory. Afterwards every machine has
 * to serve, nothing may have leaked, no random number may have come twice, every count on a data volume has to be there, and the ledger has to
 * say what a recount from its raw entries says. Ends with 1 when anything of that doesn't hold.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type OpenLaboratory, openLaboratory } from '../../../e2e/open-laboratory.ts'
import type { DrillKind } from '../../../src/model/recovery/drill.ts'
import { summarise } from '../../figure.ts'
import { recountDrill } from './recount-drill.ts'

const { values } = parseArgs({
  options: { drills: { type: 'string', default: '500' }, machines: { type: 'string', default: '5' } },
})
const wanted = Number(values.drills)
const names = Array.from({ length: Number(values.machines) }, (_, index) => `m${index + 1}`)
/** Out of so many drills one takes the whole host. */
const hostEvery = 20
const kinds: readonly DrillKind[] = ['kill-qemu', 'panic', 'freeze', 'wrong-answers', 'cut-network', 'kill-qemu']

type Tally = {
  readonly randomNumbers: Set<string>
  readonly counts: Map<string, number>
  readonly durations: Map<DrillKind, number[]>
  readonly troubles: string[]
  done: number
}

const tally: Tally = { randomNumbers: new Set(), counts: new Map(), durations: new Map(), troubles: [], done: 0 }
await using laboratory = await openLaboratory('soak', ['--power-fence', '--post-delay', '500'])
for (const name of names) {
  await laboratory.deploy(name, { ha: true, recovery: { mode: 'warm' }, disks: 1, drillable: true })
  await laboratory.untilReady(name)
}
const before = await takeStock(laboratory)
// A host takes all of its machines with it, so nobody else drills meanwhile.
while (tally.done < wanted) {
  await Promise.all(names.map((name) => drillForAWhile(name, Math.min(hostEvery, wanted - tally.done) / names.length)))
  if (tally.done < wanted) await drill(names[tally.done % names.length] ?? 'm1', 'kill-host')
  await Promise.all(names.map((name) => laboratory.untilReady(name)))
  process.stderr.write(`${tally.done} drills, ${tally.troubles.length} troubles\n`)
}
await Promise.all(names.map(check))
const after = await takeStock(laboratory)
compareStock(before, after)
for (const name of names) await recount(name)
report()
process.exitCode = tally.troubles.length === 0 ? 0 : 1

async function drillForAWhile(name: string, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1)
    await drill(name, kinds[Math.floor(Math.random() * kinds.length)] ?? 'kill-qemu')
}

async function drill(name: string, kind: DrillKind): Promise<void> {
  try {
    await laboratory.untilReady(name)
    const { task } = await laboratory.api.call('drillVm', { params: { vm: name }, body: { kind } })
    await laboratory.untilTaskEnds(task.id)
    const vm = await laboratory.untilReady(name)
    const { outages } = await laboratory.api.call('listOutages', { query: { drill: task.id } })
    const [outage] = outages
    if (outage?.durationMs === undefined || outage.durationMs === null)
      trouble(`${kind} of ${name}: the ledger has no outage of it`)
    else tally.durations.set(kind, [...(tally.durations.get(kind) ?? []), outage.durationMs])
    await check(vm.name)
  } catch (error) {
    trouble(`${kind} of ${name}: ${error instanceof Error ? error.message : String(error)}`)
  }
  tally.done += 1
}

/** It serves, draws a random number that nobody has drawn, and its data volume holds every count that it acknowledged. */
async function check(name: string): Promise<void> {
  const { address } = await laboratory.untilReady(name)
  const numbers = await ask(`http://${address}/random?bytes=16`, 'GET')
  if (tally.randomNumbers.has(numbers)) trouble(`${name} drew ${numbers} again`)
  tally.randomNumbers.add(numbers)
  const counted = Number(/(\d+)\s*\}?\s*$/.exec(await ask(`http://${address}/volumes/0/count`, 'POST'))?.[1])
  const expected = (tally.counts.get(name) ?? 0) + 1
  if (counted !== expected) trouble(`the data volume of ${name} says ${counted} and not ${expected}`)
  tally.counts.set(name, counted)
}

async function ask(url: string, method: string): Promise<string> {
  const answer = await fetch(url, { method, headers: { connection: 'close' }, signal: AbortSignal.timeout(10_000) })
  return answer.text()
}

function trouble(what: string): void {
  tally.troubles.push(what)
  process.stderr.write(`TROUBLE ${what}\n`)
}

type Stock = Readonly<Record<string, number>>

/** What could leak: processes, run directories, images, layers, memory of the agents. */
async function takeStock({ api, folder, status }: OpenLaboratory): Promise<Stock> {
  const { findings } = await api.call('doctor', {}, { timeoutMs: 30_000 })
  for (const { subject, message } of findings) trouble(`doctor: ${subject}: ${message}`)
  const stock: Record<string, number> = {}
  const { hosts } = await status()
  let processDirectories = 0
  for (const { name, pids } of hosts) {
    processDirectories += (await entries(join(folder, 'hosts', name, 'run', 'processes'))).length
    const rss = /^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pids.agent}/status`, 'utf8'))?.[1]
    stock[`MiB of the agent of ${name}`] = Math.round(Number(rss) / 1024)
  }
  stock['process directories'] = processDirectories
  let layers = 0
  for (const volume of await entries(join(folder, 'shared', 'volumes')))
    layers += (await entries(join(folder, 'shared', 'volumes', volume))).filter((file) =>
      file.endsWith('.qcow2'),
    ).length
  return { ...stock, layers }
}

async function entries(path: string): Promise<readonly string[]> {
  return readdir(path).catch(() => [])
}

/** Replaced disks are kept on purpose, a few of each machine; an agent may grow by a third of what it began with. */
function compareStock(before: Stock, after: Stock): void {
  for (const [what, count] of Object.entries(after)) {
    const was = before[what] ?? 0
    const allowed = what === 'layers' ? was + names.length * 5 : what.startsWith('MiB') ? was * 1.34 : was + 1
    process.stderr.write(`${what}: ${was} before, ${count} after\n`)
    if (count > allowed) trouble(`${what}: ${was} before, ${count} after`)
  }
}

async function recount(name: string): Promise<void> {
  const { entries: raw } = await laboratory.api.call('listLedgerEntries', { params: { service: name } })
  const { outages } = await laboratory.api.call('listOutages', {
    query: { service: name, drills: 'only', limit: '10000' },
  })
  let sum = 0
  for (const outage of outages) {
    const counted = recountDrill(raw, outage.drillId)
    sum += outage.durationMs ?? 0
    if (counted === undefined || Math.abs(counted - (outage.durationMs ?? 0)) > 1)
      trouble(`${name}: the ledger says ${outage.durationMs} ms for ${outage.drillId}, the entries ${counted} ms`)
  }
  const { services } = await laboratory.api.call('getAvailability', { query: { service: name } })
  const down = services[0]?.sums.drillDownMs ?? Number.NaN
  if (Math.abs(down - sum) > outages.length)
    trouble(`${name}: its outages sum to ${sum} ms, its time down by drills is ${down} ms`)
}

function report(): void {
  for (const [kind, durations] of tally.durations) {
    const { n, median, p99, max } = summarise(durations)
    process.stdout.write(
      `${kind.padEnd(14)} n ${n}, median ${Math.round(median)} ms, p99 ${Math.round(p99)} ms, max ${Math.round(max)} ms\n`,
    )
  }
  process.stdout.write(
    `${tally.done} drills, ${tally.randomNumbers.size} different random numbers, ${tally.troubles.length} troubles\n`,
  )
}
