/** The five lines of a scenario's README.md, for the table of docs/operations.md. */
import { DialtoneError } from '../src/model/dialtone-error.ts'

export type ScenarioReadme = {
  readonly title: string
  readonly lost: string
  readonly keepsRunning: string
  readonly youSee: string
  readonly toDo: string
  readonly why: string
}

/** Throws `invalid-input` with the line that is missing, empty or one too many. */
export function parseScenarioReadme(text: string): ScenarioReadme {
  const [heading = '', blank, ...lines] = text.trimEnd().split('\n')
  if (!heading.startsWith('# ') || blank !== '')
    throw new DialtoneError('invalid-input', 'it begins with a title and an empty line')
  if (lines.length !== 5)
    throw new DialtoneError('invalid-input', `it has five lines below its title, not ${lines.length}`)
  const read = (index: number, label: string) => {
    const begin = `- **${label}:** `
    const line = lines[index] ?? ''
    if (!line.startsWith(begin) || line.length === begin.length)
      throw new DialtoneError('invalid-input', `line ${index + 3} begins with "${begin}"`)
    return line.slice(begin.length)
  }
  return {
    title: heading.slice(2),
    lost: read(0, 'Lost'),
    keepsRunning: read(1, 'Keeps running'),
    youSee: read(2, 'You see'),
    toDo: read(3, 'To do'),
    why: read(4, 'Why'),
  }
}
