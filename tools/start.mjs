/**
 * The way from a fresh clone to a running program: `node tools/start.mjs demo`, `test` or just `set-up`, on any Node
 * from 20, with no package installed. Sets up what is missing (Debian packages, npm packages, the console, the template) and then
 * runs the verb with the Node that the npm packages bring. Nothing is done twice; an interrupted set-up is finished by
 * starting again.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildConsole } from './set-up/build-console.mjs'
import { buildTinyTemplate } from './set-up/build-tiny-template.mjs'
import { installDebianPackages } from './set-up/install-debian-packages.mjs'
import { installNpmPackages, nodeProgram } from './set-up/install-npm-packages.mjs'
import { SetUpError } from './set-up/run-program.mjs'

const self = fileURLToPath(import.meta.url)
const root = dirname(dirname(self))
const home = resolve(process.env['DIALTONE_HOME'] || '/var/lib/dialtone')
const env = {
  ...process.env,
  DIALTONE_HOME: home,
  NODE_COMPILE_CACHE: join(home, 'cache/node'),
  PATH: `${join(root, 'node_modules/.bin')}${delimiter}${process.env['PATH'] ?? ''}`,
}

/** What runs once all is set up. @type {Readonly<Record<string, readonly string[]>>} */
const verbs = { demo: ['src/cli/main.ts', 'demo'], test: ['tools/test.ts'], 'set-up': [] }

/** How this program calls itself once it has the lock of the clone. */
const lockedSetUp = 'set-up-under-lock'

const lockTimeoutS = 3600
const lockIsHeld = 75

/** The set-up itself. Runs under the lock of this clone. */
async function setUp() {
  checkMachine()
  await installDebianPackages()
  if (process.getuid?.() !== 0) {
    throw new SetUpError(
      'The hosts of a laboratory are network namespaces, which only root can make: run this as root.',
    )
  }
  await installNpmPackages(root)
  mkdirSync(env.NODE_COMPILE_CACHE, { recursive: true })
  await buildConsole({ root, env })
  await buildTinyTemplate({ root, home, env })
}

function checkMachine() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new SetUpError(`Dialtone runs on Linux on x86-64; this is ${process.platform} on ${process.arch}.`)
  }
  const [major = '0'] = process.versions.node.split('.')
  if (Number(major) < 20) throw new SetUpError(`Node 20 or later is needed; this is ${process.versions.node}.`)
}

/** Two set-ups of one clone would fight over node_modules: the second waits for the first, and then has nothing to do. */
function setUpUnderLock() {
  /** @param {string[]} options */
  const attempt = (...options) => {
    const command = ['--conflict-exit-code', `${lockIsHeld}`, ...options, join(root, '.start.lock')]
    return spawnSync('flock', [...command, process.execPath, self, lockedSetUp], { stdio: 'inherit' })
  }
  const first = attempt('--nonblock')
  if (first.status !== lockIsHeld) return exitCodeOf(first)
  console.log('· set-up    another start in this clone is at it: waiting for it')
  const second = attempt('--timeout', `${lockTimeoutS}`)
  if (second.status === lockIsHeld) console.error(`Another start in this clone has been at it for ${lockTimeoutS} s.`)
  return exitCodeOf(second)
}

/** @param {import('node:child_process').SpawnSyncReturns<Buffer>} ended */
function exitCodeOf({ error, status, signal }) {
  if (error !== undefined) console.error(`flock (Debian package util-linux): ${error.message}`)
  return status ?? (signal === null ? 1 : 128 + constants.signals[signal])
}

/** Takes this process's place as far as Node 20 can: same terminal, signals passed on, same end. @param {string} verb */
function runVerb(verb) {
  const [program, ...fixed] = verbs[verb] ?? []
  if (program === undefined) return
  const args = [program, ...fixed, ...process.argv.slice(3)]
  const child = spawn(nodeProgram(root), args, { cwd: root, env, stdio: 'inherit' })
  // The terminal's interrupt reaches the child by itself; twice would tell it that somebody lost patience.
  process.on('SIGINT', () => {})
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGHUP'])) process.on(signal, () => child.kill(signal))
  child.on('close', (code, signal) => {
    process.exitCode = code ?? (signal === null ? 1 : 128 + constants.signals[signal])
  })
}

const verb = process.argv[2] ?? ''
if (verb === lockedSetUp) {
  try {
    await setUp()
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
} else if (verb in verbs) {
  process.exitCode = setUpUnderLock()
  if (process.exitCode === 0) runVerb(verb)
} else {
  console.error(`usage: node tools/start.mjs ${Object.keys(verbs).join(' | ')}`)
  process.exitCode = 2
}
