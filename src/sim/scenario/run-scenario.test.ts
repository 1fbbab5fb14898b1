import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseSteps } from './parse-steps.ts'
import { runScenario } from './run-scenario.ts'
import { formatTimelineLine } from './timeline.ts'

const cluster = { seed: 1, hosts: [{ name: 'h1' }, { name: 'h2' }] }

function run(text: string) {
  return runScenario({ cluster, steps: parseSteps(text, { hosts: ['h1', 'h2'], storages: ['shared'] }) })
}

describe('a scenario', () => {
  test('tells what was done, what the product said of it, and what came true, without an id', async () => {
    const { timeline, problems } = await run(`
      given vm web: ha, on h1
      at 1s   host h1 loses power for 3s
      expect  vm web runs on h2 within 5s`)
    assert.deepEqual(problems, [])
    const lines = timeline.map(formatTimelineLine).join('\n')
    assert.match(lines, / {3}1\.000 {2}scenario +fault +h1 +host h1 loses power for 3s/)
    assert.match(lines, /controller +host\.suspect +h1 +silent for 800 ms/)
    assert.match(lines, /h2\/agent +machine\.phase +web .*from=starting to=running/)
    assert.match(lines, /scenario +over +h1/)
    assert.doesNotMatch(lines, /\b(?:vm|host|st|ses|task)-[a-z2-7]{8}\b/)
    assert.deepEqual(timeline[0]?.atMs, 1_000)
  })

  const failing: readonly (readonly [string, RegExp])[] = [
    ['expect vm web runs on h2 within 2s', /^line 2, expect vm web runs on h2 within 2s: it is not so: web runs h1/],
    ['expect vm web is stopped', /shown as running/],
    ['qemu of web dies\nafter 1s expect vm web was never disturbed', /^line 3.*was started 1 times/],
    ['at 5s wait 1s\nat 2s wait 1s', /^line 3.*it is 6 s already/],
    ['move vm web to h1', /^refused, and that was not expected: /],
    ['expect refusal: no room', /refused: nothing/],
  ]
  for (const [line, why] of failing)
    test(`fails with the number of its line and what is the case instead: ${line.replaceAll('\n', '; ')}`, async () => {
      const { problems } = await run(`given vm web: ha, on h1\n${line}`)
      assert.match(problems[0] ?? '', why)
    })

  test('holds an expectation for as long as it says', async () => {
    const held = 'given vm web: ha, on h1\nhost h1 loses power\nexpect vm web is running on h1'
    assert.match((await run(`${held} for 3s`)).problems[0] ?? '', /is shown as unknown/)
    assert.deepEqual((await run(`${held} for 300ms`)).problems, [])
  })
})
