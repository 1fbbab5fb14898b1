/** Asks a person before something is destroyed. */
import { createInterface } from 'node:readline/promises'
import { printableText } from '../model/printable-text.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { Interrupted } from './interrupt.ts'
import type { Screen } from './screen.ts'

export type Confirmation = {
  /** What will happen, in lines; printed before the question. */
  readonly warning: readonly string[]
  /** The name that has to be typed. */
  readonly name: string
  /** `--yes` was given: nothing is asked. */
  readonly isGiven: boolean
}

/** Returns when the name was typed. Throws a refusal when another answer came, or when nobody is there to ask. */
export async function confirmByName(screen: Screen, { warning, name, isGiven }: Confirmation): Promise<void> {
  if (isGiven) return
  if (!process.stdin.isTTY) {
    throw new CommandFailure(
      'invalid-input',
      `Nothing was done: ${name} needs a confirmation, and no terminal is here to ask.`,
      {
        exitCode: exitCodes.failed,
        next: 'Repeat the command with --yes if you mean it.',
      },
    )
  }
  screen.note(warning.map((line) => `${printableText(line)}\n`).join(''))
  const answer = await ask(`Type ${printableText(name)} to go on: `)
  if (answer.trim() === name) return
  throw new CommandFailure('cancelled', 'Nothing was done: the name was not typed.', {
    exitCode: exitCodes.failed,
    next: `Repeat the command and type ${name}, or give --yes.`,
  })
}

async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const controller = new AbortController()
  // Ctrl-C and Ctrl-D both end the question without an answer.
  lines.once('SIGINT', () => controller.abort())
  lines.once('close', () => controller.abort())
  try {
    return await lines.question(question, { signal: controller.signal })
  } catch {
    throw new Interrupted('Nothing was done.')
  } finally {
    lines.close()
  }
}
