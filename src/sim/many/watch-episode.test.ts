import assert from 'node:assert/strict'
import { test } from 'node:test'
import { watchEpisodes } from './watch-episode.ts'

test('an episode that takes more processor time than any is endless', () => {
  const watch = watchEpisodes(1_000)
  watch.begins()
  assert.deepEqual([5_000, 6_000, 6_001].map(watch.isEndless), [false, false, true])
})

test('what earlier episodes of the same worker took does not count', () => {
  const watch = watchEpisodes(1_000)
  watch.begins()
  assert.equal(watch.isEndless(5_000), false)
  watch.begins()
  assert.deepEqual([9_000, 10_000].map(watch.isEndless), [false, false])
})
