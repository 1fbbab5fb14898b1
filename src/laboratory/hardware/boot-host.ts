/** What happens between a host's self test and its first process. */
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeCgroup, removeCgroup } from '../../linux/cgroup.ts'
import { removeCpuLimits } from '../../linux/cpu-limits.ts'
import { networkNamespacePath } from '../../linux/network-namespace.ts'
import { startDetached } from '../../linux/start-detached.ts'
import { hostFolder, laboratoriesFolder, laboratoryFolders } from '../laboratory-folders.ts'
import { hostNamespaceOf } from '../laboratory-names.ts'
import { imageBudgetMiB, type LaboratoryHost, type LaboratoryRecord } from '../laboratory-record.ts'
import { makeHostNetwork, removeHostNetwork } from './host-network.ts'

const hostInit = fileURLToPath(new URL('host-init.sh', import.meta.url))

export type HostToBoot = {
  readonly home: string
  readonly record: LaboratoryRecord
  readonly host: LaboratoryHost
  readonly environment: Readonly<Record<string, string>>
}

/** Boots it with a new boot id, which it resolves with. What an interrupted boot left is removed first. */
export async function bootHost({ home, record, host, environment }: HostToBoot): Promise<string> {
  const cgroupDirectory = join(record.cgroupDirectory, host.name)
  const tree = hostFolder(laboratoryFolders(home, record.name), host.name)
  await tearDownHost(record, host)
  await makeCgroup(join(cgroupDirectory, 'init'))
  const { name: laboratory, prefixLength } = record
  await makeHostNetwork({ laboratory, host: host.name, address: host.address, prefixLength })
  const bootId = randomUUID()
  await mkdir(join(tree, 'log'), { recursive: true })
  await writeFile(bootIdPath(tree), `${bootId}\n`)
  const { agent, watchdog } = record.programs
  await startDetached({
    command: [
      // This process may be a real-time one; its hosts are not. Ordinary niceness comes with the cgroup.
      ...['chrt', '--other', '0'],
      ...['nsenter', `--net=${networkNamespacePath(hostNamespaceOf(laboratory, host.name))}`],
      ...['unshare', '--mount', '--propagation', 'unchanged', '/bin/sh', hostInit],
      ...[laboratoriesFolder(home), laboratory, host.name, process.execPath, agent, watchdog],
      String(record.memoryImages === 'ram' ? imageBudgetMiB(record) : 0),
      record.storageServer?.address ?? '',
      String(record.storageServer?.port ?? ''),
    ],
    cgroupDirectory: join(cgroupDirectory, 'init'),
    logFile: join(tree, 'log', 'init.log'),
    environment,
  })
  return bootId
}

/** Removes a dead host's namespaces and cgroups. */
export async function tearDownHost(record: LaboratoryRecord, host: LaboratoryHost): Promise<void> {
  await removeHostNetwork(record.name, host.name)
  await removeCpuLimits(join(record.cgroupDirectory, host.name))
  await removeCgroup(join(record.cgroupDirectory, host.name))
}

export async function readBootId(tree: string): Promise<string | null> {
  const text = await readFile(bootIdPath(tree), 'utf8').catch(() => null)
  return text?.trim() ?? null
}

export function bootIdPath(tree: string): string {
  return join(tree, 'boot-id')
}
