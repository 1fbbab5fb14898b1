/** Reads a password where nobody sees it: not from the arguments, which stand in the shell's history and in lists of processes. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { Interrupted } from './interrupt.ts'

/** Asks on a terminal, without showing what is typed; elsewhere it is the first line of standard input. Throws when there is none. */
export async function readPassword(question: string): Promise<string> {
  const password = process.stdin.isTTY ? await askUnseen(question) : firstLine(await text(process.stdin))
  if (password !== '') return password
  throw new CommandFailure('invalid-input', 'Nothing was done: no password was given.', {
    exitCode: exitCodes.usage,
    next: 'Type it when asked, or send it as the first line of standard input.',
  })
}

const firstLine = (all: string): string => all.split(/\r?\n/, 1)[0] ?? ''

async function askUnseen(question: string): Promise<string> {
  process.stderr.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  const controller = new AbortController()
  lines.once('SIGINT', () => controller.abort())
  lines.once('close', () => controller.abort())
  try {
    return await lines.question('', { signal: controller.signal })
  } catch {
    throw new Interrupted('Nothing was done.')
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}
