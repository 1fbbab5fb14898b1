/** The Debian packages that Dialtone needs, from the one list in tools/debian-packages.json. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runProgram, SetUpError } from './run-program.mjs'
import { takeStep } from './take-step.mjs'

/** @typedef {{ readonly name: string, readonly provides: string, readonly reason: string }} DebianPackage */

const aptTimeoutMs = 1_800_000
/** Another apt (an unattended upgrade, say) may hold the lock of dpkg for a while. */
const aptOptions = ['-o', 'DPkg::Lock::Timeout=600', '-o', 'APT::Status-Fd=3']

/** @returns {readonly DebianPackage[]} */
export function readPackageList() {
  return JSON.parse(readFileSync(new URL('../debian-packages.json', import.meta.url), 'utf8'))
}

/**
 * Installs what is missing and nothing else. Throws SetUpError with the command to run if it may not install, and with
 * the list if this is no Debian.
 */
export async function installDebianPackages() {
  const missing = findMissing(readPackageList(), packageStates, hasProgram)
  if (missing.length === 0) return
  const names = missing.map(({ name }) => name)
  const command = `apt-get install --no-install-recommends ${names.join(' ')}`
  if (!existsSync('/etc/debian_version') || !hasProgram('apt-get')) {
    throw new SetUpError(`This is not Debian, so install these by its own means:\n${describe(missing)}`)
  }
  if (process.getuid?.() !== 0) {
    throw new SetUpError(`These Debian packages are missing:\n${describe(missing)}\nAs root, run:\n  ${command}`)
  }
  await takeStep('packages', `installing ${names.join(', ')}`, async (report) => {
    await install(names, report)
    return `installed ${names.join(', ')}`
  })
}

/**
 * A package is missing if dpkg began with it and did not finish, or if neither it nor its program is there: an
 * operator's own QEMU is as good.
 *
 * @param {readonly DebianPackage[]} packages
 * @param {(names: readonly string[]) => ReadonlyMap<string, string>} statesOf as dpkg names them, such as `installed`
 * @param {(program: string) => boolean} isThere
 */
export function findMissing(packages, statesOf, isThere) {
  const states = statesOf(packages.map(({ name }) => name))
  return packages.filter(({ name, provides }) => {
    const state = states.get(name) ?? 'not-installed'
    if (state === 'installed') return false
    return !['not-installed', 'config-files'].includes(state) || !isThere(provides)
  })
}

/** @param {readonly string[]} names @param {(activity: string) => void} report */
async function install(names, report) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' }
  /** @param {string[]} args */
  const apt = (...args) =>
    runProgram(['apt-get', ...aptOptions, ...args], {
      timeoutMs: aptTimeoutMs,
      env,
      onStatus: (line) => report(activityOf(line) ?? `installing ${names.length} packages`),
    })
  if (wasInterrupted()) await runProgram(['dpkg', '--configure', '-a'], { timeoutMs: aptTimeoutMs, env })
  const command = ['install', '--yes', '--no-install-recommends', ...names]
  // Lists that are missing or old: the first attempt finds no package, or a version that its mirror has no more.
  try {
    await apt(...command)
  } catch {
    report('fetching the lists of packages')
    await apt('update')
    await apt(...command)
  }
}

/** dpkg keeps what it had in hand here, and refuses to begin anew before that is finished. */
function wasInterrupted() {
  return existsSync('/var/lib/dpkg/updates') && readdirSync('/var/lib/dpkg/updates').length > 0
}

/**
 * What apt tells through its status descriptor: `dlstatus:1:3.5:Retrieving …` or `pmstatus:ip:40.0:Unpacking …`.
 *
 * @param {string} line
 */
export function activityOf(line) {
  const [, kind, percent, text] = /^(dlstatus|pmstatus):[^:]*(?::[^:.]*)*?:([\d.]+):(.*)$/.exec(line) ?? []
  if (kind === undefined || percent === undefined) return undefined
  return `${kind === 'dlstatus' ? 'downloading' : 'installing'} ${Math.round(Number(percent))}%: ${text}`
}

/** @param {readonly string[]} names @returns {ReadonlyMap<string, string>} */
function packageStates(names) {
  const format = '${Package} ${db:Status-Status}\n'
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', format, ...names], { encoding: 'utf8', timeout: 30_000 })
  return new Map((stdout ?? '').split('\n').map((line) => /** @type {[string, string]} */ (line.split(' '))))
}

/**
 * A program, or a file by its whole path.
 *
 * @param {string} program
 */
function hasProgram(program) {
  if (program.startsWith('/')) return existsSync(program)
  const folders = `${process.env['PATH'] ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter)
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** @param {readonly DebianPackage[]} packages */
function describe(packages) {
  return packages.map(({ name, provides, reason }) => `  ${name.padEnd(16)} ${provides}: ${reason}`).join('\n')
}
