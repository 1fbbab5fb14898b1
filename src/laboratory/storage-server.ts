/**
 * The shared storage on a server of its own: hosts mount it over the network instead of seeing the machine's own folder, so that a storage
 * can hang, be lost to one host, or receive what a host had sent and was forgotten on the way. SFTP over plain TCP, which needs no module of
 * the kernel on either side: `sftp-server` of OpenSSH here, `sshfs` in the hosts (`hardware/host-init.sh`), past every cache.
 */
import { join } from 'node:path'
import { makeCgroup } from '../linux/cgroup.ts'
import { addNetworkNamespace, networkNamespacePath, runIpCommands } from '../linux/network-namespace.ts'
import { startDetached } from '../linux/start-detached.ts'
import { sftpServer } from './check-machine.ts'
import type { LaboratoryFolders } from './laboratory-folders.ts'
import { fabricNamespaceOf, storageNamespaceOf, storagePort } from './laboratory-names.ts'
import type { LaboratoryRecord } from './laboratory-record.ts'
import { programEnvironment } from './program-environment.ts'

/** Plugs it into the fabric and starts it. Does nothing where the record has none. */
export async function startStorageServer(
  home: string,
  record: LaboratoryRecord,
  folders: LaboratoryFolders,
): Promise<void> {
  const { name, prefixLength, storageServer } = record
  if (storageServer === null) return
  const namespace = storageNamespaceOf(name)
  await addNetworkNamespace(namespace)
  await runIpCommands(
    [
      `link add dev ${storagePort} type veth peer name up0 netns ${namespace}`,
      `link set dev ${storagePort} master br0 up`,
    ],
    { namespace: fabricNamespaceOf(name) },
  )
  await runIpCommands([`address add ${storageServer.address}/${prefixLength} dev up0`, 'link set dev up0 up'], {
    namespace,
  })
  const cgroupDirectory = storageCgroup(record)
  await makeCgroup(cgroupDirectory)
  const listening = ['busybox', 'nc', '-ll', '-p', String(storageServer.port), '-e', sftpServer]
  await startDetached({
    // Of a class with what it stands for, a machine of its own: busy guests must not make it look slow.
    command: ['nice', '-n', '-10', 'nsenter', `--net=${networkNamespacePath(namespace)}`, ...listening],
    cgroupDirectory,
    logFile: join(folders.log, 'storage-server.log'),
    environment: programEnvironment(process.env, home),
  })
}

/** All its processes are there: frozen, it hangs. */
export function storageCgroup({ cgroupDirectory }: Pick<LaboratoryRecord, 'cgroupDirectory'>): string {
  return join(cgroupDirectory, 'storage-server')
}
