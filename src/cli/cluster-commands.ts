/** `dialtone cluster …` and `dialtone doctor` */
import type { Command } from 'commander'
import { formatInstant } from '../model/age.ts'
import type { ClusterView, Finding } from '../model/api/views.ts'
import { printableText } from '../model/printable-text.ts'
import { exitCodes } from './command-failure.ts'
import { addDumpCommand } from './dump-command.ts'
import { describePool } from './network-commands.ts'
import { addReserveCommand } from './reserve-commands.ts'
import { writeDetails, writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'
import { type Cell, styled } from './text-table.ts'

/** Adds the verbs of the cluster to the command `cluster`. */
export function addClusterCommands(cluster: Command): void {
  cluster
    .command('show')
    .description('show the cluster as a whole')
    .action((_options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const view = await api.call('getCluster', {})
        if (screen.json) return writeJson(screen, view)
        writeDetails(screen, describeCluster(view, screen.nowMs()))
      }),
    )
  addReserveCommand(cluster)
  addDumpCommand(cluster)
}

/** Makes the command `doctor` check the live cloud. It fails when an invariant that matters doesn't hold. */
export function addDoctorCommand(doctor: Command): void {
  doctor.action((_options: object, command: Command) => withSession(command, examine))
}

function describeCluster(cluster: ClusterView, nowMs: number): [string, Cell][] {
  const { timings } = cluster
  return [
    ['Name', cluster.name],
    ['Id', cluster.id],
    ['Version', cluster.version],
    ['Created', formatInstant(cluster.createdAt, nowMs)],
    ['Term', String(cluster.term)],
    ['Network', cluster.network === null ? 'none: set it with dialtone network set' : describePool(cluster.network)],
    ['Reserve', `for ${cluster.hostFailuresToTolerate} failing hosts`],
    ['Store', `revision ${cluster.storeRevision}, incarnation ${cluster.storeIncarnation}`],
    ['Heartbeat', `every ${timings.heartbeatMs} ms, lease ${timings.leaseMs} ms`],
    ['Suspect', `after ${timings.suspectAfterMs} ms of silence, pills after ${timings.pillAfterMs} ms`],
    ['Kill', `watchdog ${timings.watchdogMs} ms, kill ${timings.killMs} ms, drain ${timings.drainMs} ms`],
    ...(cluster.holds.length === 0
      ? [['Holds', 'none: hosts are judged and machines are started'] satisfies [string, Cell]]
      : cluster.holds.map((hold): [string, Cell] => ['Holds', { text: hold, style: 'yellow' }])),
  ]
}

async function examine({ api, screen }: Session): Promise<void> {
  const answer = await api.call('doctor', {})
  const { findings, checked } = answer
  if (findings.some(({ severity }) => severity !== 'untidy')) process.exitCode = exitCodes.failed
  if (screen.json) return writeJson(screen, answer)
  for (const finding of findings) screen.write(formatFinding(finding, screen.layout.colour))
  const names = printableText(checked.join(', '))
  if (findings.length === 0) screen.write(`All is well: ${checked.length} invariants hold (${names}).\n`)
  else screen.note(`${findings.length} found; ${checked.length} invariants were checked.\n`)
}

function formatFinding({ severity, invariant, subject, message, next }: Finding, hasColour: boolean): string {
  const style = severity === 'untidy' ? 'yellow' : 'red'
  const head = `${styled(severity, hasColour ? style : null)}: ${printableText(`${subject}: ${message}`)}`
  return `${head}\n  ${printableText(next)} (${printableText(invariant)})\n`
}
