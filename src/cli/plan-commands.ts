/** `dialtone plan`: what would be done now and why, and what a failure would do. With a dump, without any controller. */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { readDump } from '../control/plan/dump-cluster.ts'
import { planCluster } from '../control/plan/plan-cluster.ts'
import { formatDuration } from '../model/age.ts'
import { clusterDumpSchema } from '../model/cluster-dump.ts'
import type { HostLossPlan, Plan, VmPlan } from '../model/plan.ts'
import { printableText } from '../model/printable-text.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { type Listing, type Screen, writeJson, writeListing } from './screen.ts'
import { type GlobalOptions, screenOf, withSession } from './session.ts'

type PlanOptions = { readonly dump?: string; readonly ifHostDies?: string }

/** Makes the command `plan` plan. */
export function addPlanCommand(plan: Command): void {
  plan
    .option('--dump <file>', 'plan from a file of dialtone cluster dump, without a controller')
    .option('--if-host-dies <host>', 'say who would recover where, by which way, and who would not')
    .action(async ({ dump, ifHostDies }: PlanOptions, command: Command) => {
      if (dump !== undefined)
        return writePlan(screenOf(command.optsWithGlobals<GlobalOptions>()), await planFromDump(dump, ifHostDies))
      return withSession(command, async ({ api, screen }) => {
        const query = ifHostDies === undefined ? {} : { ifHostDies }
        writePlan(screen, await api.call('getPlan', { query }))
      })
    })
}

async function planFromDump(path: string, hostName: string | undefined): Promise<Plan> {
  const planned = readDump(await readDumpFile(path))
  if (hostName === undefined) return planCluster(planned)
  const host = [...planned.cluster.hosts.values()].find(({ spec }) => spec.name === hostName || spec.id === hostName)
  if (host !== undefined) return planCluster(planned, { ifHostDies: host.spec.id })
  const names = [...planned.cluster.hosts.values()].map(({ spec }) => spec.name).join(', ')
  throw new CommandFailure('not-found', `There is no host ${hostName} in ${path}.`, {
    exitCode: exitCodes.failed,
    next: `It has: ${names === '' ? 'none' : names}.`,
  })
}

async function readDumpFile(path: string) {
  const next = 'Make one with: dialtone cluster dump --out FILE.'
  const fail = (why: string) =>
    new CommandFailure('invalid-input', `${path} ${why}.`, { exitCode: exitCodes.usage, next })
  const text = await readFile(path, 'utf8').catch(() => {
    throw fail('cannot be read')
  })
  const parsed = clusterDumpSchema.safeParse(jsonOf(text))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw fail(`is not a dump of a cluster: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function writePlan(screen: Screen, plan: Plan): void {
  if (screen.json) return writeJson(screen, plan)
  const { vms, reserve, ifHostDies } = plan
  if (ifHostDies !== null) return writeLoss(screen, ifHostDies)
  writeListing(screen, vms, vmListing)
  for (const vm of vms) writeRefusals(screen, vm)
  screen.write(`\nReserve: ${printableText(reserve)}.\n`)
}

const vmListing: Listing<VmPlan> = {
  none: 'There is no VM to decide about.',
  columns: [
    ['NAME', (vm) => vm.vmName],
    ['STATE', (vm) => vm.state],
    ['HOST', (vm) => vm.hostName ?? '-'],
    ['NEXT', (vm) => (vm.toHostName === null ? vm.decision : `${vm.decision} on ${vm.toHostName}`)],
    ['WHY', (vm) => vm.reason],
  ],
}

/** What stands against the other hosts, the rules that are broken, and who would take it over. */
function writeRefusals(screen: Screen, { vmName, refusals, brokenRules, standby }: VmPlan): void {
  if (refusals.length + brokenRules.length === 0 && standby === '') return
  screen.write(`\n${printableText(vmName)}:\n`)
  for (const rule of brokenRules) screen.write(`  breaks a rule: ${printableText(rule)}\n`)
  for (const { hostName, reason } of refusals) screen.write(`  not on ${printableText(`${hostName}: ${reason}`)}\n`)
  if (standby !== '') screen.write(`  standby: ${printableText(standby)}\n`)
}

const ways: Readonly<Record<HostLossPlan['recovered'][number]['way'], string>> = {
  'warm-standby': 'resumes from its image there',
  'fetched-image': 'resumes, its image is fetched first',
  boot: 'boots',
}

function writeLoss(screen: Screen, { hostName, proof, provenAfterMs, ...loss }: HostLossPlan): void {
  const bound = provenAfterMs === null ? '' : `, after ${formatDuration(provenAfterMs)} at the latest`
  screen.write(`If ${printableText(hostName)} died: ${printableText(proof)}${bound}.\n`)
  if (loss.recovered.length > 0) screen.write('\nThen these go on elsewhere:\n')
  if (loss.recovered.length > 0) writeListing(screen, loss.recovered, recoveredListing)
  if (loss.notRecovered.length > 0) screen.write('\nThese do not:\n')
  for (const { vmName, reason } of loss.notRecovered) screen.write(`  ${printableText(`${vmName}: ${reason}`)}\n`)
  if (loss.recovered.length + loss.notRecovered.length === 0) screen.write('No machine runs there.\n')
  if (loss.losesStandby.length > 0)
    screen.write(`\nWithout their standby until another is chosen: ${printableText(loss.losesStandby.join(', '))}.\n`)
}

const recoveredListing: Listing<HostLossPlan['recovered'][number]> = {
  none: '',
  columns: [
    ['NAME', (vm) => vm.vmName],
    ['TO', (vm) => vm.toHostName],
    ['HOW', (vm) => ways[vm.way]],
    ['THEN SERVES AFTER', (vm) => (vm.expectedMs === null ? '-' : formatDuration(vm.expectedMs))],
    ['LOSES', (vm) => vm.loses],
  ],
}
