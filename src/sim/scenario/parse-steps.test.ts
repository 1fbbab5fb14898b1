import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { allWords, parseSteps } from './parse-steps.ts'

const cast = { hosts: ['h1', 'h2'], storages: ['shared'] }
const parse = (text: string) => parseSteps(text, cast)
const only = (text: string) => parse(`given vm web\n${text}`)[1]

describe('a line of steps', () => {
  test('is a sentence with or without a time, whatever its spaces, and a comment is none', () => {
    const [given, lost, ...rest] = parse(
      '# a word\ngiven vm web: ha, on h1\n\nat 2s    host h1   loses power for 1.5min # now',
    )
    assert.deepEqual(given?.action, {
      kind: 'given',
      vms: ['web'],
      item: { call: 'createVm', body: { name: 'web', template: 'tiny', ha: true, host: 'h1' } },
    })
    assert.deepEqual(lost, {
      line: 4,
      text: 'host h1 loses power for 1.5min',
      when: { kind: 'at', timeMs: 2_000 },
      action: { kind: 'fault', fault: { kind: 'power-off', host: 'h1', forMs: 90_000 } },
    })
    assert.deepEqual(rest, [])
  })

  test('may be a fault, a request or an expectation', () => {
    assert.deepEqual(only('network loses 5%, doubles 0%, delays 20%')?.action, {
      kind: 'fault',
      fault: { kind: 'network-is-bad', lost: 0.05, doubled: 0, slow: 0.2, slowestMs: 200 },
    })
    assert.deepEqual(only('after 300ms move vm web to h2'), {
      line: 2,
      text: 'move vm web to h2',
      when: { kind: 'after', timeMs: 300 },
      action: { kind: 'request', item: { call: 'migrateVm', params: { vm: 'web' }, body: { host: 'h2' } } },
    })
    assert.deepEqual(only('expect vm web runs on h2 within 4s for 10s')?.action, {
      kind: 'expect',
      expectation: { kind: 'vm-runs', vm: 'web', host: 'h2', withinMs: 4_000, forMs: 10_000 },
    })
  })

  const refusals: readonly (readonly [string, RegExp])[] = [
    [
      'host h1 looses power',
      /line 2: "host h1 looses power" is none of the sentences; the nearest are: .*host \{host\} loses power/,
    ],
    ['host h3 loses power', /line 2: there is no h3 \(host\); there are: h1, h2/],
    ['qemu of db dies', /there is no db \(vm\); there are: web/],
    ['storage large hangs', /there is no large \(storage\)/],
    ['nothing passes from h1 to h9', /there is no h9 \(to\); there are: h1, h2, controller/],
    ['at 2 host h1 loses power', /"2" is no time, as 20s or 300ms are/],
    ['given vm db: ha, quickly', /"quickly" can't be said of a machine/],
    ['expect vm web is happy', /line 2: /],
  ]
  for (const [line, why] of refusals)
    test(`that is wrong is refused with its number and what would be right: ${line}`, () => {
      assert.throws(() => only(line), why)
    })
})

test('no two sentences are the same', () => {
  assert.equal(new Set(allWords).size, allWords.length)
})
