/** `dialtone event …` */
import type { Command } from 'commander'
import { formatAge } from '../model/age.ts'
import type { EventView } from '../model/api/views.ts'
import { printableText } from '../model/printable-text.ts'
import { withInterrupt } from './interrupt.ts'
import { wholeNumberOption } from './option-parsers.ts'
import { startPatience } from './patience.ts'
import { writeJson, writeJsonLine, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

/** Adds the verbs of events to the command `event`. */
export function addEventCommands(event: Command): void {
  event
    .command('list')
    .description('list what happened, oldest first')
    .option('--limit <number>', 'at most this many, the newest ones', wholeNumberOption, 200)
    .action((options: { readonly limit: number }, command: Command) =>
      withSession(command, (session) => listEvents(session, options.limit)),
    )
  event
    .command('watch')
    .description('print what happens, until Ctrl-C')
    .option('--after <revision>', 'begin after this revision instead of now', wholeNumberOption)
    .action((options: { readonly after?: number }, command: Command) =>
      withSession(command, (session) => watchEvents(session, options.after)),
    )
}

async function listEvents({ api, screen }: Session, limit: number): Promise<void> {
  const answer = await api.call('listEvents', { query: { limit } })
  if (screen.json) return writeJson(screen, answer)
  const nowMs = screen.nowMs()
  writeListing(screen, answer.events, {
    none: 'Nothing has happened yet.',
    columns: [
      ['AGE', (event) => formatAge(event.at, nowMs)],
      ['KIND', (event) => event.kind],
      ['SUBJECT', (event) => event.subject],
      ['USER', (event) => event.user ?? '-'],
      ['MESSAGE', (event) => event.message],
    ],
  })
}

async function watchEvents({ api, screen }: Session, after: number | undefined): Promise<void> {
  // A stream waits for a controller that is away; a person who begins to watch wants to know now.
  await api.call('health', {})
  await withInterrupt('', async (interrupt) => {
    const { signal, onState } = startPatience(interrupt, () => screen.note('The connection is lost, trying again.\n'))
    const from = after === undefined ? {} : { after: String(after) }
    for await (const { data } of api.events('watchEvents', {}, { signal, onState, ...from })) {
      if (screen.json) writeJsonLine(screen, data)
      else screen.write(`${formatEventLine(data)}\n`)
    }
    signal.throwIfAborted()
  })
}

function formatEventLine({ at, kind, subject, message, user }: EventView): string {
  const by = user === null ? '' : ` (${user})`
  return printableText(`${at.slice(11, 23)}  ${kind}  ${subject}: ${message}${by}`)
}
