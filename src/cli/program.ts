/** The grammar of the command line. */
import { Command } from 'commander'
import { nouns, passedOn } from './nouns.ts'

/** The program with the verbs of one noun; the other nouns are there by name, for the help. Never prints errors or exits: it throws. */
export async function makeProgram(usedNoun: string | undefined): Promise<Command> {
  const program = new Command('dialtone')
  program
    .description('A private cloud that keeps services running.')
    .usage('<noun> <verb> [options]')
    .option('--json', 'print the API’s objects')
    .option('--lab <name>', 'the laboratory; default DIALTONE_LAB, else the only one that runs')
    .option('--server <url>', 'another server, with the token in DIALTONE_TOKEN; default DIALTONE_SERVER')
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ showGlobalOptions: true })
    .helpCommand(false)
  for (const [name, { summary, load }] of Object.entries(nouns)) {
    const command = program.command(name).description(summary).helpCommand(false)
    if (name === usedNoun) (await load())(command)
  }
  for (const [name, summary] of Object.entries(passedOn)) program.command(name).description(summary)
  program.command('help [noun] [verb]').description('explain a command')
  return program
}

export type CommandLine = {
  /** The first word that is no global option. */
  readonly noun: string | undefined
  /** Global options before the noun. */
  readonly before: readonly string[]
  readonly after: readonly string[]
}

/** Finds the noun without knowing its options. */
export function splitCommandLine(argv: readonly string[]): CommandLine {
  let index = 0
  for (;;) {
    const word = argv[index]
    if (word === undefined || !word.startsWith('-')) break
    index += word === '--lab' || word === '--server' ? 2 : 1
  }
  return { noun: argv[index], before: argv.slice(0, index), after: argv.slice(index + 1) }
}

/** The value of an option in words that nobody has parsed yet: `--lab x` or `--lab=x`; the last one counts. */
export function optionValue(words: readonly string[], option: string): string | undefined {
  const index = words.findLastIndex((word) => word === option || word.startsWith(`${option}=`))
  const word = words[index]
  return word === option ? words[index + 1] : word?.slice(option.length + 1)
}
