import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { renderOperations } from './operations-table.ts'
import { describePlayed, playScenario } from './play-scenario.ts'
import { listScenarios } from './read-scenario.ts'

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

test('the table of docs/operations.md is what the scenarios say', async () => {
  const { present, wanted } = await renderOperations()
  assert.equal(present, wanted, 'it is stale: npm run scenario -- --table')
})
