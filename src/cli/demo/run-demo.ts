/** The demonstration: a cloud of three hosts on this machine that loses a process and a host before the reader's eyes, and goes on. */
import { styleText } from 'node:util'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { findServer } from '../find-server.ts'
import { runLaboratory } from '../laboratory-commands.ts'
import { openApi } from '../session.ts'
import { formatTable } from '../text-table.ts'
import { moveMachine } from './migrate-scene.ts'
import {
  awaitImage,
  bringHostBack,
  deployMachines,
  killHost,
  killProcesses,
  type SceneResult,
  type Stage,
} from './scenes.ts'

const laboratoryName = 'demo'
const machines = ['web', 'shop'] as const

/** Runs it from an empty cloud to the closing table. Sets the exit code; the cloud stays up. */
export async function runDemo(_argv: readonly string[]): Promise<void> {
  try {
    await clearEarlierDemo()
    heading('A cloud of three hosts on this machine')
    if ((await runLaboratory(['up', '--name', laboratoryName, '--hosts', '3'], undefined)) !== 0)
      throw new Error('the laboratory could not be started')
    const results = await withStage(playScenes)
    heading('What the ledger says')
    await withStage(({ api }) => showLedger(api))
    process.stdout.write(`\n${closingTable(results)}\n${farewell()}`)
  } catch (error) {
    process.stderr.write(`\nThe demonstration stopped: ${error instanceof Error ? error.message : String(error)}\n`)
    process.stderr.write(
      `Look around with: ./bin/dialtone --lab ${laboratoryName} event list\nTake it down with: ./bin/dialtone down --name ${laboratoryName}\n`,
    )
    process.exitCode = 1
  }
}

async function playScenes(stage: Stage): Promise<readonly SceneResult[]> {
  const [web, shop] = machines
  const results: SceneResult[] = []
  heading('Two machines from the built-in template: one recovers by booting, one from memory')
  results.push(
    await deployMachines(stage, [
      { name: web, recovery: { mode: 'boot' } },
      { name: shop, recovery: { mode: 'warm' } },
    ]),
  )
  results.push(await awaitImage(stage, shop))
  heading('A machine moves to another host while somebody talks to it')
  results.push(await moveMachine(stage, web))
  heading('The process of each dies')
  results.push(...(await killProcesses(stage, [web, shop])))
  heading('A whole host dies')
  await awaitImage(stage, shop)
  const { hostName: host } = await stage.api.call('getVm', { params: { vm: shop } })
  results.push(await killHost(stage, shop))
  heading('The dead host comes back')
  results.push(await bringHostBack(stage, { host: host ?? '', name: shop }))
  return results
}

/** The outages that were just seen, as the cloud itself has entered them. */
async function showLedger(api: Stage['api']): Promise<void> {
  const { outages } = await api.call('listOutages', { query: {} })
  const rows = outages
    .toReversed()
    .map(({ serviceName, cause, durationMs, attempts }) => [
      serviceName,
      cause,
      attempts.map(({ rung }) => rung).join(', ') || '-',
      durationMs === null ? 'goes on' : seconds(durationMs),
    ])
  const columns = ['Service', 'Failure', 'Recovered by', 'Outage']
  process.stdout.write(`${formatTable(columns, rows, { width: null, colour: process.stdout.isTTY })}\n`)
  const { services } = await api.call('getAvailability', { query: {} })
  for (const { serviceName, real } of services) {
    const share = real.availability === null ? 'unknown' : `${(real.availability * 100).toFixed(3)} %`
    process.stdout.write(`  ${serviceName}: available ${share} since it was made, ${real.failures} failures\n`)
  }
}

/** The demonstration's own laboratory is made anew, but not over somebody's machines. */
async function clearEarlierDemo(): Promise<void> {
  const earlier = await withStage(({ api }) => api.call('listVms', {})).catch(() => undefined)
  const foreign = earlier?.vms.map((vm) => vm.name).filter((name) => !machines.some((own) => own === name)) ?? []
  if (foreign.length > 0) {
    throw new DialtoneError(
      'in-use',
      `the laboratory "${laboratoryName}" of an earlier demonstration holds your machines: ${foreign.join(', ')}`,
    )
  }
  if ((await runLaboratory(['down', '--name', laboratoryName], undefined)) !== 0)
    throw new Error('what an earlier demonstration left could not be taken down')
}

async function withStage<T>(work: (stage: Stage) => Promise<T>): Promise<T> {
  const server = await findServer({ server: undefined, laboratory: laboratoryName, environment: process.env })
  const api = openApi(server, 15_000)
  try {
    return await work({ api, laboratory: laboratoryName, say: (line) => process.stdout.write(`  ${line}\n`) })
  } finally {
    await api.close()
  }
}

function closingTable(results: readonly SceneResult[]): string {
  const rows = results.map((result) => [
    result.title,
    result.outcome,
    result.parts.map((part) => `${part.name} ${seconds(part.tookMs)}`).join(', '),
    seconds(result.totalMs),
  ])
  return formatTable(['What happened', 'Outcome', 'Parts', 'In all'], rows, {
    width: null,
    colour: process.stdout.isTTY,
  })
}

function farewell(): string {
  const lines = [
    '',
    'The cloud stays up. Look around:',
    `  ./bin/dialtone --lab ${laboratoryName} vm list`,
    `  ./bin/dialtone --lab ${laboratoryName} vm show shop`,
    `  ./bin/dialtone --lab ${laboratoryName} host list`,
    `  ./bin/dialtone --lab ${laboratoryName} event list`,
    `  ./bin/dialtone --lab ${laboratoryName} outage list`,
    `  ./bin/dialtone --lab ${laboratoryName} vm recover shop --plan`,
    `  ./bin/dialtone --lab ${laboratoryName} drill panic shop --yes`,
    `  ./bin/dialtone --lab ${laboratoryName} vm console web      (user root, password tiny; leave with Ctrl-])`,
    'Take it down:',
    `  ./bin/dialtone down --name ${laboratoryName}`,
    '',
  ]
  return lines.join('\n')
}

function heading(text: string): void {
  const shown = process.stdout.isTTY ? styleText('bold', text) : text
  process.stdout.write(`\n${shown}\n`)
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(milliseconds < 1000 ? 2 : 1)} s`
}
