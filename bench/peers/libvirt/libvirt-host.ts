/** A host with a libvirt of its own, which sees nothing of the machine's. */
import { spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { runCommand } from '../../../src/linux/run-command.ts'
import { DialtoneError } from '../../../src/model/dialtone-error.ts'
import { openPeerHost, type PeerHost } from '../peer-host.ts'
import type { PeerNetwork } from '../peer-network.ts'

/** libvirt's own folders. */
export const libvirtFolders = ['/etc/libvirt', '/var/lib/libvirt', '/var/log/libvirt', '/var/cache/libvirt']

const libvirtdUpWithinMs = 30_000
const virshTimeoutMs = 120_000

/** Without a service manager, a security driver and cgroups, none of which the namespaces have. */
const qemuConf = `user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
`

/** `isListening`: other hosts may give it orders, by TCP and without a word, in their own little network. */
export type LibvirtOptions = { readonly isListening?: boolean }

/** Host `number` of the network, with libvirt running. */
export async function openLibvirtHost(
  network: PeerNetwork,
  number: number,
  options: LibvirtOptions = {},
): Promise<PeerHost> {
  await using undo = new AsyncDisposableStack()
  const host = undo.use(await openPeerHost(network, number, libvirtFolders))
  await startLibvirt(host, options)
  undo.move()
  return host
}

/** After each switching on. */
export async function startLibvirt(host: PeerHost, { isListening = false }: LibvirtOptions = {}): Promise<void> {
  const folder = join(host.folder, 'etc/libvirt')
  await mkdir(folder, { recursive: true })
  const log = '/var/log/libvirt/libvirtd.log'
  const listening = isListening ? 'listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\n' : ''
  const libvirtdConf = `${listening}auth_unix_rw = "none"\nunix_sock_rw_perms = "0700"\nhost_uuid = "${hostUuid(host)}"\nlog_outputs = "2:file:${log}"\n`
  await writeFile(join(folder, 'libvirtd.conf'), libvirtdConf)
  await writeFile(join(folder, 'qemu.conf'), qemuConf)
  await host.run(['virtlogd', '--daemon'])
  await host.run(['libvirtd', '--daemon', ...(isListening ? ['--listen'] : [])])
  const givesUpAtMs = performance.now() + libvirtdUpWithinMs
  for (;;) {
    const refusal = await virsh(host, ['list']).then(
      () => undefined,
      (error: unknown) => error,
    )
    if (refusal === undefined) return
    if (performance.now() > givesUpAtMs)
      throw new DialtoneError('machine-setup', `libvirtd on ${host.name} answers nobody: ${await lastWords(host)}`, {
        cause: refusal,
      })
    await delay(100)
  }
}

/** Resolves with what virsh says; throws `machine-setup` with its words when it fails. */
export function virsh(host: PeerHost, args: readonly string[]): Promise<string> {
  return host.run(['virsh', '--quiet', ...args], virshTimeoutMs)
}

/** The process of a running domain, as the machine counts. */
export async function qemuPidOf(host: PeerHost, domain: string): Promise<number> {
  const pidFile = await host.run(['cat', `/run/libvirt/qemu/${domain}.pid`])
  return host.pidOf(Number(pidFile))
}

export type StopWatch = Disposable & {
  /** Resolves when libvirt tells that the domain stopped, from the call on. */
  untilStopped(deadlineMs: number): Promise<void>
}

/** Listens to libvirt's own events, which is the fastest way that it offers to learn that a domain's QEMU has died. */
export async function watchStops(host: PeerHost, domain: string): Promise<StopWatch> {
  const events = ['virsh', 'event', '--domain', domain, '--event', 'lifecycle', '--loop']
  // Into a pipe, virsh would tell only when kilobytes have come together.
  const [program, ...args] = host.enter(['stdbuf', '--output=L', ...events])
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] })
  const listeners = new Set<() => void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (/: (?:Stopped|Crashed)/.test(line)) for (const tell of listeners) tell()
  })
  // It says nothing when it listens.
  await delay(500)
  if (child.exitCode !== null) throw new DialtoneError('machine-setup', `virsh event on ${host.name} ended`)
  return {
    untilStopped(deadlineMs) {
      return new Promise((resolve, reject) => {
        const finish = () => {
          clearTimeout(timer)
          listeners.delete(stopped)
        }
        const stopped = () => {
          finish()
          resolve()
        }
        const timer = setTimeout(() => {
          finish()
          reject(new DialtoneError('deadline-exceeded', `libvirt on ${host.name} did not tell that ${domain} stopped`))
        }, deadlineMs)
        listeners.add(stopped)
      })
    },
    // virsh itself is inside of the host and ends with it.
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  }
}

/** A disk of its own for one guest, over a lower one that nobody writes to any more. */
export async function makeOverlay(path: string, lower: string): Promise<void> {
  await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', lower, path], { timeoutMs: 30_000 })
}

function hostUuid({ address }: PeerHost): string {
  const digits = address.split('.').map((octet) => octet.padStart(3, '0'))
  return `d1a17042-0000-4000-9000-${digits.join('')}`
}

async function lastWords(host: PeerHost): Promise<string> {
  const text = await readFile(join(host.folder, 'var/log/libvirt/libvirtd.log'), 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-5).join('\n')
}
