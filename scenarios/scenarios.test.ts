import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { renderOperations } from './operations-table.ts'
import { describePlayed, playScenario } from './play-scenario.ts'
import { listScenarios, readExpectedTimeline, readPart } from './read-scenario.ts'
import { parseScenarioReadme } from './scenario-readme.ts'

const names = await listScenarios()

describe('a scenario goes as it is written down', () => {
  for (const name of names) {
    test(name, async () => {
      assert.equal(describePlayed(name, await playScenario(name)), '')
    })
  }
})

test('there are at least fifty scenarios, each with a number of its own', () => {
  assert.ok(names.length >= 50, `${names.length}`)
  assert.equal(new Set(names.map((name) => name.slice(0, 4))).size, names.length)
})

describe('what a README says that you see is in its timeline', () => {
  for (const name of names) {
    test(name, async () => {
      const { youSee } = await readPart(name, 'README.md', parseScenarioReadme)
      const events = new Set((await readExpectedTimeline(name))?.map(({ event }) => event))
      const claimed = [...youSee.matchAll(/`([a-z]+\.[a-z-]+)`/g)].map(([, event = '']) => event)
      assert.deepEqual(
        claimed.filter((event) => !events.has(event)),
        [],
      )
    })
  }
})

test('the table of docs/operations.md is what the scenarios say', async () => {
  const { present, wanted } = await renderOperations()
  assert.equal(present, wanted, 'it is stale: npm run scenario -- --table')
})
