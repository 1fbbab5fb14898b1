/** Places for real Linux guests of the template `tiny`: one bridge with DHCP for one address, taps, cgroups, disks. Needs root. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Hypervisor, MachineDefinition } from '../../src/agent/hypervisor/hypervisor.ts'
import { createQemuHypervisor } from '../../src/agent/hypervisor/qemu/qemu-hypervisor.ts'
import { sampleDefinition } from '../../src/agent/hypervisor/sample-definition.ts'
import { findCgroupMount, killCgroupAndWait, makeCgroup, removeCgroup } from '../../src/linux/cgroup.ts'
import { runCommand } from '../../src/linux/run-command.ts'

const home = process.env['DIALTONE_HOME'] ?? '/var/lib/dialtone'
/** The one that was built last; undefined when there is none. */
export const template = await newestTemplate()
export const rootVolume = 'vol-root2345'
export const bootTimeoutMs = 20_000

export type GuestHost = {
  readonly directory: string
  /** An agent's driver; each call is the next agent's. */
  hypervisor(): Hypervisor
  /** A machine with an empty layer on the template's root disk, or on `on`; its tap is connected unless it is to wait unheard. */
  define(name: string, options?: { readonly on?: string; readonly isUnheard?: boolean }): Promise<MachineDefinition>
  plug(definition: MachineDefinition): Promise<void>
  overlayOn(path: string): Promise<string>
  makeCgroup(name: string): Promise<string>
  /** Asks once, on a connection of its own. */
  isHttpAnswered(timeoutMs?: number): Promise<boolean>
  untilHttpAnswers(): Promise<void>
  close(): Promise<void>
}

export async function openGuestHost(): Promise<GuestHost> {
  const bridge = `dte${process.pid}`
  const subnet = `10.251.${process.pid % 256}`
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-e2e-'))
  // Layers are opened by the machines' own user while they run.
  await chmod(directory, 0o755)
  const cgroup = join((await findCgroupMount()) ?? '', bridge)
  const closeNetwork = await openNetwork(bridge, subnet)
  const { userId } = sampleDefinition()
  let overlays = 0
  let taps = 0
  const hypervisor = () => createQemuHypervisor({ cacheDirectory: directory })
  const folder = join(home, 'templates', template ?? '')
  const overlayOn = async (path: string) => {
    const overlay = join(directory, `layer${(overlays += 1)}.qcow2`)
    await command('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', path, overlay])
    await chown(overlay, userId, userId)
    return overlay
  }
  const makeOwnCgroup = async (name: string) => {
    await makeCgroup(join(cgroup, name))
    return join(cgroup, name)
  }
  const plug = ({ tapName }: Pick<MachineDefinition, 'tapName'>) =>
    command('ip', ['link', 'set', tapName, 'master', bridge])
  return {
    ...{ directory, hypervisor, overlayOn, makeCgroup: makeOwnCgroup, plug },
    define: async (name, { on, isUnheard = false } = {}) => {
      const tapName = `${bridge}t${(taps += 1)}`
      await command('ip', ['tuntap', 'add', tapName, 'mode', 'tap'])
      await command('ip', ['link', 'set', tapName, 'up'])
      if (!isUnheard) await plug({ tapName })
      const runDirectory = join(directory, name)
      await mkdir(runDirectory, { mode: 0o700 })
      const facts = await hypervisor().facts()
      return sampleDefinition({
        ...{ tapName, runDirectory, memoryMiB: 128, generationId: randomUUID() },
        cgroupDirectory: await makeOwnCgroup(name),
        hardware: { ...facts, qemuVersion: facts.version },
        disks: [{ volumeId: rootVolume, path: await overlayOn(on ?? join(folder, 'root.qcow2')), format: 'qcow2' }],
        kernel: await readKernel(folder),
      })
    },
    isHttpAnswered: (timeoutMs = 500) => isHttpAnswered(`${subnet}.2`, timeoutMs),
    untilHttpAnswers: () => untilHttpAnswers(`${subnet}.2`),
    close: async () => {
      await killCgroupAndWait(cgroup, 5000)
      await removeCgroup(cgroup)
      for (let tap = 1; tap <= taps; tap += 1) await command('ip', ['link', 'delete', `${bridge}t${tap}`])
      await closeNetwork()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function newestTemplate(): Promise<string | undefined> {
  const names = (await readdir(join(home, 'templates')).catch(() => [])).filter((name) => name.startsWith('tiny-'))
  const times = names.map(async (name) => ({ name, builtAt: (await stat(join(home, 'templates', name))).mtimeMs }))
  return (await Promise.all(times)).toSorted((one, other) => other.builtAt - one.builtAt)[0]?.name
}

async function readKernel(folder: string): Promise<MachineDefinition['kernel']> {
  const manifest: unknown = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))
  assert.ok(typeof manifest === 'object' && manifest !== null && 'commandLineTcg' in manifest)
  const commandLine = String(manifest.commandLineTcg)
  return { vmlinux: join(folder, 'vmlinux'), initrd: join(folder, 'initrd.img'), commandLine }
}

/** A bridge with an address and a DHCP server on it. Returns what takes them down. */
async function openNetwork(bridge: string, subnet: string): Promise<() => Promise<void>> {
  // With an address of its own it keeps the one that guests know when taps come and go.
  await command('ip', ['link', 'add', bridge, 'address', '02:00:00:00:00:01', 'type', 'bridge', 'forward_delay', '0'])
  await command('ip', ['addr', 'add', `${subnet}.1/30`, 'dev', bridge])
  await command('ip', ['link', 'set', bridge, 'up'])
  // Otherwise the seconds between ARP requests would be measured, not the guest.
  const { macAddress } = sampleDefinition()
  await command('ip', ['neigh', 'replace', `${subnet}.2`, 'lladdr', macAddress, 'dev', bridge, 'nud', 'permanent'])
  const server = spawn(
    'dnsmasq',
    [
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--port=0', `--interface=${bridge}`, '--bind-interfaces'],
      ...[`--dhcp-range=${subnet}.2,${subnet}.2,1h`, '--dhcp-authoritative', '--no-ping', '--leasefile-ro'],
      '--pid-file=',
    ],
    { stdio: 'ignore' },
  )
  return async () => {
    server.kill()
    await command('ip', ['link', 'delete', bridge])
  }
}

async function command(program: string, args: readonly string[]): Promise<void> {
  await runCommand(program, args, { timeoutMs: 10_000 })
}

async function untilHttpAnswers(address: string): Promise<void> {
  const givesUpAt = performance.now() + bootTimeoutMs
  while (!(await isHttpAnswered(address, 500))) {
    assert.ok(performance.now() < givesUpAt, `${address} did not answer within ${bootTimeoutMs} ms`)
    await delay(10)
  }
}

function isHttpAnswered(address: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(80, address)
    let answer = ''
    socket.setTimeout(timeoutMs, () => socket.destroy())
    socket.setEncoding('utf8')
    socket.on('connect', () => socket.write('GET / HTTP/1.0\r\n\r\n'))
    socket.on('data', (chunk: string) => {
      answer += chunk
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(/^HTTP\/1\.[01] 200/.test(answer)))
  })
}
