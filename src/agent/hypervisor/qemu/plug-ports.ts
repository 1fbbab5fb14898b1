/** The ports into which disks and cards are plugged while a machine runs: who has which. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { hotplugPorts } from './command-line.ts'
import type { QmpLine } from './qmp-session.ts'

const commandTimeoutMs = 5000

export async function listDevices(line: QmpLine): Promise<string[]> {
  const entries = await line.execute('qom-list', { path: '/machine/peripheral' }, commandTimeoutMs)
  return entries.map(({ name }) => name)
}

/** Disks and cards behind ports, in the order of these. */
export async function devicesInPorts(
  line: QmpLine,
  present: readonly string[],
): Promise<readonly { readonly device: string; readonly port: number }[]> {
  const found: { readonly device: string; readonly port: number }[] = []
  for (const device of present.filter((id) => id.startsWith('disk-') || /^nic[1-9]$/.test(id))) {
    const path = `/machine/peripheral/${device}`
    const bus = await line.execute('qom-get', { path, property: 'parent_bus' }, commandTimeoutMs)
    const port = /\/port(\d+)$/.exec(typeof bus === 'string' ? bus : '')?.[1]
    if (port !== undefined) found.push({ device, port: Number(port) })
  }
  return found.toSorted((left, right) => left.port - right.port)
}

/** The bus of the port that is wished for, or of the first free one. */
export async function busOfPort(line: QmpLine, present: readonly string[], wished?: number): Promise<string> {
  if (wished !== undefined) return `port${wished}`
  const taken = new Set((await devicesInPorts(line, present)).map(({ port }) => port))
  const free = Array.from({ length: hotplugPorts }, (_, index) => index).find((index) => !taken.has(index))
  if (free !== undefined) return `port${free}`
  throw new DialtoneError(
    'wrong-state',
    `all ${hotplugPorts} ports for disks and cards that are plugged in while it runs are taken`,
  )
}
