/** `dialtone rebuild`: what hosts and disks tell of a state that was lost, and entering it. */
import type { Command } from 'commander'
import { printableText } from '../model/printable-text.ts'
import type { RebuildItem, RebuildView } from '../model/rebuild/rebuild-plan.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { type Listing, type Screen, writeJson, writeListing } from './screen.ts'
import { withSession } from './session.ts'

/** All storages are read through. */
const patienceMs = 10 * 60_000

/** Makes the command `rebuild` say what would be entered, and enter it with `--yes`. */
export function addRebuildCommand(rebuild: Command): void {
  rebuild
    .option('--yes', 'enter it; without this nothing is changed')
    .action((options: { readonly yes?: boolean }, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        if (options.yes !== true) {
          const view = await api.call('planRebuild', {}, { timeoutMs: patienceMs })
          if (screen.json) return writeJson(screen, view)
          writeView(screen, view)
          return screen.write(nextStep(view))
        }
        const answer = await api.call('rebuild', {}, { timeoutMs: patienceMs })
        if (screen.json) return writeJson(screen, answer)
        writeView(screen, answer)
        screen.write(`\n${answer.entered.length} entered. Nothing was started: dialtone vm list says what runs.\n`)
        if (answer.refused.length > 0) throw refused(answer.refused)
      }),
    )
}

function nextStep({ items, answered }: RebuildView): string {
  const hosts = answered.length === 0 ? 'No host answered.' : `These hosts answered: ${answered.join(', ')}.`
  const others = 'If there were others, bring them back first, or make sure that they are off.'
  const isNothing = !items.some(({ action }) => action === 'enter')
  const next = isNothing ? 'There is nothing to enter.' : 'Nothing was changed. To enter it: dialtone rebuild --yes'
  return printableLines(`\n${hosts} ${others}\n${next}\n`)
}

function writeView(screen: Screen, { items, doubts }: RebuildView): void {
  writeListing(screen, items, itemListing)
  const doubtful = items.filter((item) => item.doubts.length > 0)
  if (doubtful.length + doubts.length > 0) screen.write('\nDoubts:\n')
  for (const { noun, name, doubts: its } of doubtful)
    for (const doubt of its) screen.write(`  ${printableText(`${noun} ${name}: ${doubt}`)}\n`)
  for (const { subject, message, next } of doubts)
    screen.write(`  ${printableText(`${subject}: ${message}`)}\n    ${printableText(next)}\n`)
}

const actions: Readonly<Record<RebuildItem['action'], string>> = {
  enter: 'enter',
  present: 'there already',
  'leave-out': 'leave out',
}

const itemListing: Listing<RebuildItem> = {
  none: 'Nothing was found: no host has introduced itself. Start their agents, and give them some seconds.',
  columns: [
    ['WHAT', (item) => item.noun],
    ['NAME', (item) => item.name],
    ['ACTION', (item) => actions[item.action]],
    ['FROM', (item) => item.from],
    ['DETAIL', (item) => item.detail],
  ],
}

function refused(names: readonly string[]): CommandFailure {
  return new CommandFailure('conflict', `Changed by others meanwhile, and not entered: ${names.join(', ')}.`, {
    exitCode: exitCodes.failed,
    next: 'Repeat: dialtone rebuild',
  })
}

function printableLines(text: string): string {
  return text.split('\n').map(printableText).join('\n')
}
