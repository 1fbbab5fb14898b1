/** Debian's packages of a peer, installed when they are missing. They stay: a bench is run more than once. */
import { access, readFile, rm, writeFile } from 'node:fs/promises'
import { runCommand } from '../../src/linux/run-command.ts'
import { DialtoneError } from '../../src/model/dialtone-error.ts'

export const libvirtPackages = [
  'libvirt-daemon-system',
  'libvirt-daemon-driver-qemu',
  'libvirt-clients',
  'dnsmasq-base',
]
export const pacemakerPackages = [
  ...libvirtPackages,
  ...['pacemaker', 'pacemaker-cli-utils', 'corosync', 'resource-agents', 'procps'],
]

const policyFile = '/usr/sbin/policy-rc.d'
const policyMark = '# Written by the benches of Dialtone for the time of an installation.'
/** 101: the action is forbidden (invoke-rc.d of Debian's init-system-helpers). */
const policy = `#!/bin/sh\n${policyMark}\nexit 101\n`
const installTimeoutMs = 900_000

/**
 * Installs what is missing of these packages, without what they only recommend and without starting any of their daemons. Needs root.
 * Throws `machine-setup` with apt's last words when it can't.
 */
export async function installPeerPackages(packages: readonly string[], note: (line: string) => void): Promise<void> {
  const installed = await installedOf(packages)
  const missing = packages.filter((name) => !installed.has(name))
  if (missing.length === 0) return
  if (process.getuid?.() !== 0)
    throw new DialtoneError('machine-setup', `only root can install the peer's packages: ${missing.join(' ')}`)
  note(`installs Debian's packages ${missing.join(' ')}; they stay installed`)
  await forbidDaemons()
  try {
    await aptInstall(missing).catch(async () => {
      // The lists of packages may be missing or older than what the mirror still has.
      await runCommand('apt-get', ['update', '-qq'], { timeoutMs: installTimeoutMs })
      await aptInstall(missing)
    })
  } finally {
    await allowDaemons()
  }
}

async function installedOf(packages: readonly string[]): Promise<ReadonlySet<string>> {
  // It fails when it doesn't know one of them, and still lists the others.
  const script = 'dpkg-query --show --showformat=\'${Package} ${db:Status-Status}\\n\' "$@" 2> /dev/null || true'
  const listing = await runCommand('/bin/sh', ['-c', script, 'sh', ...packages], { timeoutMs: 30_000 })
  return new Set(
    listing
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0] ?? ''),
  )
}

function aptInstall(packages: readonly string[]): Promise<string> {
  const options = ['install', '--yes', '-qq', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300']
  const environment = ['DEBIAN_FRONTEND=noninteractive', 'apt-get']
  return runCommand('env', [...environment, ...options, ...packages], { timeoutMs: installTimeoutMs })
}

/** A policy of the machine's owner stays as it is. */
async function forbidDaemons(): Promise<void> {
  await allowDaemons()
  const isThere = await access(policyFile).then(
    () => true,
    () => false,
  )
  if (!isThere) await writeFile(policyFile, policy, { mode: 0o755 })
}

async function allowDaemons(): Promise<void> {
  const text = await readFile(policyFile, 'utf8').catch(() => '')
  if (text.includes(policyMark)) await rm(policyFile, { force: true })
}
