/**
 * `npm run soak:moves -- [--moves 100] [--rate 50] [--local-disks]`: one machine that writes to its memory all the time moves from host to
 * host. Its memory is checked after every move, and one TCP connection has to survive all of them; with local disks their contents are
 * checked, too. Ends with 1 when anything of that doesn't hold.
 */
import { parseArgs } from 'node:util'
import { type OpenLaboratory, openLaboratory } from '../../../e2e/open-laboratory.ts'
import { keepConnection } from '../../../src/cli/demo/kept-connection.ts'
import { summarise } from '../../figure.ts'
import { deployOnLocalDisks } from './local-disks.ts'

const { values } = parseArgs({
  options: {
    moves: { type: 'string', default: '100' },
    rate: { type: 'string', default: '50' },
    'local-disks': { type: 'boolean', default: false },
  },
})
const name = 'mover'
const troubles: string[] = []
const totalsMs: number[] = []

await using laboratory = await openLaboratory('moves', ['--hosts', '3'])
const disks = values['local-disks'] ? await deployOnLocalDisks(laboratory, name) : undefined
const { address } = disks ?? (await laboratory.deploy(name, { ha: true }))
const load = await ask('POST', `/load?mib=32&rate=${values.rate}`)
if (load.includes('error')) throw new Error(`the machine writes to no memory: ${load.trim()}`)
const connection = await keepConnection(address)
for (let done = 1; done <= Number(values.moves); done += 1) {
  try {
    totalsMs.push(await move(laboratory))
    const check = await ask('GET', '/load/check')
    for (const what of (await disks?.examine()) ?? []) trouble(`after move ${done}: ${what}`)
    if (!check.includes('"ok":true')) trouble(`after move ${done} its memory is ${check.trim()}`)
  } catch (error) {
    trouble(`move ${done}: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (done % 10 === 0) process.stderr.write(`${done} moves, ${troubles.length} troubles\n`)
}
const kept = await connection.end().catch((error: unknown) => trouble(String(error)))
const { findings } = await laboratory.api.call('doctor', {}, { timeoutMs: 30_000 })
for (const { subject, message } of findings) trouble(`doctor: ${subject}: ${message}`)
const { n, median, max } = summarise(totalsMs)
process.stdout.write(
  `${n} moves, median ${Math.round(median)} ms, max ${Math.round(max)} ms, ${troubles.length} troubles\n`,
)
if (kept !== undefined)
  process.stdout.write(`one connection, ${kept.echoes} echoes, the longest wait ${Math.round(kept.longestWaitMs)} ms\n`)
process.exitCode = troubles.length === 0 ? 0 : 1

async function move({ api, untilTaskEnds }: OpenLaboratory): Promise<number> {
  const beganAtMs = performance.now()
  const { task } = await api.call('migrateVm', { params: { vm: name }, body: {} })
  await untilTaskEnds(task.id)
  return performance.now() - beganAtMs
}

async function ask(method: string, path: string): Promise<string> {
  const options = { method, headers: { connection: 'close' }, signal: AbortSignal.timeout(20_000) }
  return (await fetch(`http://${address}${path}`, options)).text()
}

function trouble(what: string): undefined {
  troubles.push(what)
  process.stderr.write(`TROUBLE ${what}\n`)
}
