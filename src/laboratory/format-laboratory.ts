/** A laboratory as text for a terminal. */
import type { HostDescription, LaboratoryDescription } from './describe-laboratory.ts'

export function formatLaboratory(laboratory: LaboratoryDescription): string {
  const { pids } = laboratory
  return [
    `laboratory ${laboratory.name}: ${stateOf(laboratory)}`,
    `  api ${laboratory.apiUrl}   subnet ${laboratory.subnet}   folder ${laboratory.folder}`,
    `  console ${laboratory.apiUrl}   user admin   password in ${laboratory.folder}/controller/admin-password until it is changed`,
    `  controller ${pids.controller ?? '-'}   hardware ${pids.hardware ?? '-'}`,
    '',
    columns([
      ['HOST', 'ADDRESS', 'POWER', 'PHASE', 'LINK', 'WATCHDOG', 'AGENT', 'VMS'],
      ...laboratory.hosts.map(hostRow),
    ]),
  ].join('\n')
}

export function formatLaboratories(laboratories: readonly LaboratoryDescription[]): string {
  if (laboratories.length === 0) return 'There is no laboratory: start one with dialtone up.\n'
  const rows = laboratories.map((laboratory) => [
    laboratory.name,
    stateOf(laboratory),
    String(laboratory.hosts.length),
    laboratory.apiUrl,
    laboratory.subnet,
  ])
  return columns([['NAME', 'STATE', 'HOSTS', 'API', 'SUBNET'], ...rows])
}

function stateOf({ state, isRunning }: LaboratoryDescription): string {
  return state === 'up' && !isRunning ? 'down since a reboot; dialtone up brings it up again' : state
}

function hostRow({ name, address, hardware, pids }: HostDescription): string[] {
  return [
    name,
    address,
    hardware?.power ?? '?',
    hardware?.phase ?? '?',
    hardware?.link ?? '?',
    typeof hardware?.armedMs !== 'number' ? '-' : `${hardware.armedMs} ms`,
    pids.agent === null ? '-' : String(pids.agent),
    String(pids.machines.filter((machine) => machine.pids.length > 0).length),
  ]
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('')
}
