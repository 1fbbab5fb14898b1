/** `npm run scenario -- [NNNN…] [--accept] [--words] [--table]`: see README.md. */
import { parseArgs } from 'node:util'
import { allWords } from '../src/sim/scenario/parse-steps.ts'
import { vmWishes } from '../src/sim/scenario/request-sentences.ts'
import { formatTimelineLine } from '../src/sim/scenario/timeline.ts'
import { writeOperations } from './operations-table.ts'
import { describePlayed, playScenario } from './play-scenario.ts'
import { acceptTimeline, listScenarios } from './read-scenario.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    accept: { type: 'boolean', default: false },
    words: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
  },
})
const print = (text: string) => void process.stdout.write(`${text}\n`)

if (values.words) {
  for (const words of allWords) print(words)
  print(`\nWhat may be said of a machine: ${vmWishes.map(({ words }) => words).join('; ')}`)
} else if (values.table) await writeOperations()
else await playAll()

async function playAll(): Promise<void> {
  const names = await listScenarios()
  const unknown = positionals.find((wanted) => !names.some((name) => name.startsWith(wanted)))
  if (unknown !== undefined) {
    process.stderr.write(`There is no scenario ${unknown}; there are:\n${names.join('\n')}\n`)
    process.exitCode = 2
    return
  }
  const chosen = names.filter(
    (name) => positionals.length === 0 || positionals.some((wanted) => name.startsWith(wanted)),
  )
  for (const name of chosen) await playOne(name, chosen.length === 1)
}

async function playOne(name: string, isAlone: boolean): Promise<void> {
  const found = await playScenario(name)
  if (isAlone) print(found.timeline.map(formatTimelineLine).join('\n'))
  // One that tells the same as before stays as it is to the byte: else every change would touch all of them by some milliseconds.
  const isToBeWritten = values.accept && (found.isNew || found.differences.length > 0)
  if (isToBeWritten) await acceptTimeline(name, found.timeline)
  const wrong = describePlayed(name, isToBeWritten ? { ...found, differences: [], isNew: false } : found)
  print(wrong === '' ? `✔ ${name}` : `✖ ${name}\n${wrong}`)
  if (wrong !== '') process.exitCode = 1
}
