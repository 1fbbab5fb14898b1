/** The table of docs/operations.md, made from the READMEs of the scenarios. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { listScenarios, readPart } from './read-scenario.ts'
import { parseScenarioReadme, type ScenarioReadme } from './scenario-readme.ts'

/** By the first two digits of a scenario's number. */
const groups: Readonly<Record<string, string>> = {
  '01': 'Hosts and power',
  '02': 'Network',
  '03': 'Agents, watchdogs, controller',
  '04': 'Storage',
  '05': 'Machines',
  '06': 'Fence devices',
  '07': 'Moves',
  '08': 'Maintenance',
  '09': 'Recovery from memory',
  '10': 'Room and rules',
  '11': 'Services',
}
const begin = '<!-- From here on made by: npm run scenario -- --table -->'
const end = '<!-- Made until here. -->'
const path = join(import.meta.dirname, '../docs/operations.md')

/** The text of docs/operations.md as it has to be. */
export async function renderOperations(): Promise<{ readonly present: string; readonly wanted: string }> {
  const present = await readFile(path, 'utf8')
  const [before, rest] = present.split(begin)
  const [, after] = rest?.split(end) ?? []
  if (before === undefined || after === undefined)
    throw new Error(`docs/operations.md has lost the lines ${begin} … ${end}`)
  const names = await listScenarios()
  const entries = await Promise.all(
    names.map(async (name) => ({ name, readme: await readPart(name, 'README.md', parseScenarioReadme) })),
  )
  return { present, wanted: `${before}${begin}\n${renderTable(entries)}\n${end}${after}` }
}

export async function writeOperations(): Promise<void> {
  await writeFile(path, (await renderOperations()).wanted)
}

type Entry = { readonly name: string; readonly readme: ScenarioReadme }

function renderTable(entries: readonly Entry[]): string {
  const byGroup = Map.groupBy(entries, ({ name }) => name.slice(0, 2))
  const unknown = [...byGroup.keys()].find((number) => groups[number] === undefined)
  if (unknown !== undefined)
    throw new Error(`scenarios/operations-table.ts has no title for the scenarios ${unknown}xx`)
  return Object.entries(groups)
    .toSorted(([left], [right]) => left.localeCompare(right))
    .flatMap(([number, title]) => {
      const found = byGroup.get(number) ?? []
      return found.length === 0 ? [] : [`\n### ${title}\n`, head, ...found.map(renderRow)]
    })
    .join('\n')
}

const head = '| what happens | what is lost | what keeps running | what you see | what to do |\n|---|---|---|---|---|'

function renderRow({ name, readme }: Entry): string {
  const { title, lost, keepsRunning, youSee, toDo } = readme
  const cells = [`[${title}](../scenarios/${name}/README.md)`, lost, keepsRunning, youSee, toDo]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
