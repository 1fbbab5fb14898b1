/** Runs the command line as a process of its own against a stand-in controller, which is a new one for each test of the file. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type StandIn, standInToken, startStandIn } from './stand-in-controller.ts'

const program = fileURLToPath(new URL('../main.ts', import.meta.url))
const withinMs = 10_000

export type Ending = { readonly code: number | null; readonly out: string; readonly err: string }

export type RunOptions = {
  readonly environment?: Readonly<Record<string, string>>
  readonly input?: string
  /** Interrupts when this was seen on standard error. */
  readonly interruptAt?: RegExp
}

export type Terminal = {
  readonly standIn: StandIn
  readonly home: string
  dialtone(words: string, options?: RunOptions): Promise<Ending>
}

/** To be called once, at the top of a test file: it makes and removes what it needs in hooks of its own. */
export function openTerminal(): Terminal {
  let standIn: StandIn | undefined
  let home: string | undefined
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'dialtone-cli-'))
  })
  beforeEach(async () => {
    await standIn?.[Symbol.asyncDispose]()
    standIn = await startStandIn()
  })
  after(async () => {
    await standIn?.[Symbol.asyncDispose]()
    if (home !== undefined) await rm(home, { recursive: true })
  })
  const terminal: Terminal = {
    get standIn() {
      if (standIn === undefined) throw new Error('no test has begun')
      return standIn
    },
    get home() {
      if (home === undefined) throw new Error('no test has begun')
      return home
    },
    dialtone: (words, options) => run(terminal, words, options),
  }
  return terminal
}

async function run({ standIn, home }: Terminal, words: string, options: RunOptions = {}): Promise<Ending> {
  const child = spawn(process.execPath, [program, ...words.split(' ')], {
    env: {
      NODE_COMPILE_CACHE: join(home, 'cache'),
      DIALTONE_HOME: home,
      DIALTONE_SERVER: standIn.baseUrl,
      DIALTONE_TOKEN: standInToken,
      ...options.environment,
    },
    timeout: withinMs,
  })
  const ending = { out: '', err: '' }
  let isInterrupted = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ending.out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ending.err += text
    if (isInterrupted || options.interruptAt?.test(ending.err) !== true) return
    isInterrupted = child.kill('SIGINT')
  })
  child.stdin.end(options.input ?? '')
  await once(child, 'close')
  return { code: child.exitCode, ...ending }
}
