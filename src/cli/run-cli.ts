/** From the words of a command to its exit code. */
import { CommanderError } from 'commander'
import { CommandFailure, exitCodes, failureOf, formatEnvelope, formatFailure } from './command-failure.ts'
import { Interrupted } from './interrupt.ts'
import { nouns, passedOn } from './nouns.ts'
import { makeProgram, optionValue, splitCommandLine } from './program.ts'
import { screenOf } from './session.ts'

/** Runs one command and sets the exit code of the process. Never rejects: failures are told on standard error. */
export async function runCli(argv: readonly string[]): Promise<void> {
  try {
    await dispatch(withoutHelpWord(argv))
  } catch (error) {
    process.exitCode = report(error, argv)
  }
}

async function dispatch(argv: readonly string[]): Promise<void> {
  const { noun, before, after } = splitCommandLine(argv)
  if (noun === '__complete') {
    const { complete } = await import('./complete.ts')
    return complete(after)
  }
  if (noun === 'demo') {
    const { runDemo } = await import('./demo/run-demo.ts')
    await runDemo([...after, ...before])
    return
  }
  if (noun !== undefined && Object.hasOwn(passedOn, noun)) {
    const { runLaboratory } = await import('./laboratory-commands.ts')
    const verb = noun === 'lab' ? after : [noun, ...after]
    const json = before.includes('--json') ? ['--json'] : []
    process.exitCode = await runLaboratory([...verb, ...json], optionValue(before, '--lab'))
    return
  }
  const program = await makeProgram(noun)
  if (noun === undefined && before.length === 0) return program.outputHelp()
  await program.parseAsync(argv, { from: 'user' })
}

/** `help vm create` is `vm create --help`. */
function withoutHelpWord(argv: readonly string[]): readonly string[] {
  return argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv
}

function report(error: unknown, argv: readonly string[]): number {
  const { json, note, noteLayout } = screenOf({ json: argv.includes('--json') })
  if (error instanceof Interrupted) {
    if (error.notice !== '') note(`\n${error.notice}\n`)
    return exitCodes.interrupted
  }
  // Help and version were printed; commander throws to end the command.
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok
  const failure = error instanceof CommanderError ? usageFailure(error, argv) : failureOf(error)
  note(json ? formatEnvelope(failure) : formatFailure(failure, noteLayout))
  return failure.exitCode
}

function usageFailure(error: CommanderError, argv: readonly string[]): CommandFailure {
  const { noun } = splitCommandLine(argv)
  const command = noun !== undefined && Object.hasOwn(nouns, noun) ? `dialtone help ${noun}` : 'dialtone help'
  const lines = error.message.replace(/^error: /, '').split('\n')
  const sentence = error.code === 'commander.help' ? 'A verb is missing.' : lines.join(' ')
  return new CommandFailure('invalid-input', sentence, { exitCode: exitCodes.usage, next: `See ${command}.` })
}
