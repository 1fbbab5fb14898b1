import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addEpisode, describeTally, type EpisodeTally, emptyTally } from './tally.ts'

const episode: EpisodeTally = {
  seed: 1,
  hosts: 4,
  faults: ['power-off', 'qemu-dies'],
  recoveriesMs: [1_000, 3_000],
  restarts: 2,
  fenced: 1,
  steps: 500,
  simulatedMs: 20_000,
  virtualMs: 120_000,
  violated: [],
}

test('episodes are summed, with the faults by kind, the times away and the years they stand for', () => {
  const tally = emptyTally()
  addEpisode(tally, episode)
  addEpisode(tally, { ...episode, recoveriesMs: [5_000], violated: ['tasks-end'] })
  const told = describeTally(tally, 1_000).join('\n')
  assert.match(told, /2 episodes in 1\.00 s \(2\.0 a second\), 1 with a violation/)
  assert.match(told, /4 faults: power-off 2, qemu-dies 2/)
  assert.match(told, /half within 3\.00 s, .* at most 5\.00 s/)
  // Four faults in clusters of four hosts, which have 48 a year.
  assert.equal((tally.faults / (4 * 12)).toFixed(2), '0.08')
  assert.match(told, /stands for 0 cluster-years/)
})

test('nothing is said of times when nothing was away', () => {
  assert.match(describeTally(emptyTally(), 1_000).join('\n'), /0 episodes/)
})
