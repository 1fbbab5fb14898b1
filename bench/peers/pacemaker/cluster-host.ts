/** A host with corosync and Pacemaker of its own. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../../../src/model/dialtone-error.ts'
import type { PeerHost } from '../peer-host.ts'

export const clusterFolders = [
  ...['/etc/corosync', '/var/lib/corosync', '/var/log/corosync'],
  ...['/var/lib/pacemaker', '/var/log/pacemaker'],
]

/** A fresh cluster waits 20 s for nodes that might be there. */
const clusterUpWithinMs = 90_000

const fenceAgent = join(import.meta.dirname, 'instant-fence-agent.sh')

/** The agent takes the place of one that Pacemaker brings, on this host only. */
const startScript = `set -e
cp "$1" /run/fence-agent
chmod 755 /run/fence-agent
mount --bind /run/fence-agent /usr/sbin/fence_legacy
mkdir -p /run/crm /run/resource-agents
chown hacluster:haclient /run/crm
chmod 1755 /run/resource-agents
corosync
sleep 0.3
PCMK_logfile=/var/log/pacemaker/pacemaker.log setsid nohup pacemakerd < /dev/null > /var/log/pacemaker/pacemakerd.log 2>&1 &`

/** After each switching on. The node joins some time later. */
export async function startCluster(host: PeerHost, corosyncConf: string): Promise<void> {
  const folder = join(host.folder, 'etc/corosync')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'corosync.conf'), corosyncConf)
  await host.run(['/bin/sh', '-c', startScript, 'sh', fenceAgent])
}

/** Resolves when as many nodes are members in the eyes of this one. */
export async function untilOnline(host: PeerHost, nodes: number): Promise<void> {
  const givesUpAtMs = performance.now() + clusterUpWithinMs
  for (;;) {
    // It fails as long as Pacemaker isn't up.
    const status = await host.run(['crm_mon', '--one-shot', '--output-as=xml']).catch(() => '')
    const online = status.match(/<node [^>]*online="true"[^>]*pending="false"/g)?.length ?? 0
    if (online === nodes) return
    if (performance.now() > givesUpAtMs)
      throw new DialtoneError('deadline-exceeded', `${online} of ${nodes} nodes are online: ${status.slice(-2000)}`)
    await delay(300)
  }
}

/** Adds all of it in one update. */
export async function enterResources(host: PeerHost, configuration: string): Promise<void> {
  const update = ['--modify', '--allow-create', '--scope', 'configuration', '--xml-text', configuration]
  await host.run(['cibadmin', ...update])
}
