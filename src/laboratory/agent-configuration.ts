/** What a host's agent and watchdog process read at their start. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DialtoneError } from '../model/dialtone-error.ts'
import { bootIdPath } from './hardware/boot-host.ts'
import { hostFolder, type LaboratoryFolders, watchdogSocketOf } from './laboratory-folders.ts'
import { imageBudgetMiB, type LaboratoryHost, type LaboratoryRecord } from './laboratory-record.ts'

export type HostJoining = { readonly host: LaboratoryHost; readonly joinToken: string }

export async function writeAgentConfiguration(
  record: LaboratoryRecord,
  folders: LaboratoryFolders,
  { host, joinToken }: HostJoining,
): Promise<void> {
  const tree = hostFolder(folders, host.name)
  const { subnet, gateway, prefixLength } = record
  const configuration = {
    hostName: host.name,
    dataDirectory: tree,
    controllerUrl: `https://${gateway}:${record.agentPort}`,
    joinToken,
    listen: { host: host.address, port: record.agentPort + 1 },
    bridge: 'br0',
    network: { subnet, gateway, prefixLength },
    cgroupDirectory: join(record.cgroupDirectory, host.name),
    bootIdFile: bootIdPath(tree),
    watchdogSocket: join(tree, 'run', 'watchdog.sock'),
    hardwareWatchdog: { kind: 'emulated', socket: watchdogSocketOf(folders, host.name) },
    capacity: { memoryMiB: record.memoryPerHostMiB, cpus: record.cpusPerHost },
    storages: [{ name: 'local', path: join(tree, 'storage', 'local') }],
    memoryImages: { directory: join(tree, 'memory', 'images'), budgetMiB: imageBudgetMiB(record) },
    qemu: { fileLocking: record.fileLocking },
  }
  await writeFile(agentConfigurationPath(tree), `${JSON.stringify(configuration, null, 2)}\n`, { mode: 0o600 })
}

/** After a reboot the cgroup tree may be mounted elsewhere. */
export async function moveAgentConfiguration(
  record: LaboratoryRecord,
  folders: LaboratoryFolders,
  host: LaboratoryHost,
): Promise<void> {
  const path = agentConfigurationPath(hostFolder(folders, host.name))
  const configuration: unknown = JSON.parse(await readFile(path, 'utf8'))
  if (typeof configuration !== 'object') throw new DialtoneError('machine-setup', `${path} is damaged`)
  const moved = { ...configuration, cgroupDirectory: join(record.cgroupDirectory, host.name) }
  await writeFile(path, `${JSON.stringify(moved, null, 2)}\n`, { mode: 0o600 })
}

function agentConfigurationPath(tree: string): string {
  return join(tree, 'agent.json')
}
