import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseScenarioReadme } from './scenario-readme.ts'

const lines = ['Lost', 'Keeps running', 'You see', 'To do', 'Why'].map((label) => `- **${label}:** ${label} it.`)
const readme = (changes: readonly string[] = lines) => `# A host dies\n\n${changes.join('\n')}\n`

test('a README of five lines is understood', () => {
  assert.deepEqual(parseScenarioReadme(readme()), {
    title: 'A host dies',
    lost: 'Lost it.',
    keepsRunning: 'Keeps running it.',
    youSee: 'You see it.',
    toDo: 'To do it.',
    why: 'Why it.',
  })
})

test('one with a line too few, too many, empty or in another place is refused with that line', () => {
  assert.throws(() => parseScenarioReadme(readme(lines.slice(1))), /five lines below its title, not 4/)
  assert.throws(() => parseScenarioReadme(readme([...lines, 'more'])), /not 6/)
  assert.throws(() => parseScenarioReadme(readme(lines.toReversed())), /line 3 begins with "- \*\*Lost:\*\* "/)
  assert.throws(() => parseScenarioReadme(readme(lines.with(3, '- **To do:** '))), /line 6/)
  assert.throws(() => parseScenarioReadme(lines.join('\n')), /begins with a title/)
})
