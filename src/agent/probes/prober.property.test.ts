/** Random histories of a service: whatever it does, what the prober tells encloses what was true. A failure prints its seed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { vmIdSchema } from '../../model/ids.ts'
import { probeSchema } from '../../model/recovery/probe.ts'
import { createVirtualClock } from '../virtual-clock.fixture.ts'
import { type Behaviour, createFakeService } from './fake-service.fixture.ts'
import { createProber, type ProbeChange } from './prober.ts'

const histories = 40
const turnsEach = 12
const maxLatencyMs = 400

/** Answers may be on their way for so long: some come from a machine that is dead by then. */
const longestWayMs = 30

/** From `fromMs` on it was up, or down, until the next stretch. Correct answers to earlier questions may come until `answersEndMs`. */
type Stretch = { readonly fromMs: number; readonly isUp: boolean; readonly answersEndMs: number }

for (let seed = 1; seed <= histories; seed += 1) {
  test(`outages are enclosed and told in order, seed ${seed}`, async () => {
    const { changes, truth, kinds } = await play(seed)
    for (const change of changes) requireTrue(change, truth)
    assert.deepEqual(
      changes,
      changes.toSorted((left, right) => left.at.getTime() - right.at.getTime()),
    )
    assert.match(kinds, /^(B?)(S?(LF?K)*(LF?)?)*$/, kinds)
  })
}

/** Plays the history of this seed: stretches up and down, with a sign of most deaths, and none of some. */
async function play(seed: number) {
  const random = randomFrom(seed)
  const clock = createVirtualClock(0)
  const epochMs = clock.wallTime().getTime()
  const truth: Stretch[] = [{ fromMs: epochMs, isUp: true, answersEndMs: 0 }]
  let before: Behaviour = { kind: 'correct', latencyMs: 5 }
  const service = createFakeService(clock, before)
  const changes: ProbeChange[] = []
  const prober = createProber({
    target: { vmId: vmIdSchema.parse('vm-aaaaaaaa'), address: '10.1.2.3' },
    probe: probeSchema.parse({ check: { kind: 'tcp', port: 80 }, everyMs: 100, maxLatencyMs }),
    checkOnce: async (question) => {
      const answer = await service.checkOnce(question)
      if (answer.isCorrect && random(2) === 0) await clock.sleep(random(longestWayMs))
      return answer
    },
    clock,
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    onChange: (change) => changes.push(change),
  })
  prober.start()
  await clock.advance(50)
  for (let turn = 0; turn < turnsEach; turn += 1) {
    const isUp = turn % 2 === 1
    await clock.advance(random(1500))
    const behaviour = isUp ? someCorrect(random) : someWrong(random)
    service.behave(behaviour)
    const fromMs = clock.wallTime().getTime()
    // One that begins to answer wrongly has questions that it will still answer correctly; a dead one has none.
    const takenMs = behaviour.kind === 'wrong' && before.kind === 'correct' ? before.latencyMs : 0
    truth.push({ fromMs, isUp, answersEndMs: fromMs + takenMs + longestWayMs })
    before = behaviour
    if (behaviour.kind === 'silent' && random(3) > 0) {
      await clock.advance(random(15))
      prober.hurry('its process died')
    }
  }
  await clock.advance(1500)
  const letters = { began: 'B', serving: 'S', 'answer-lost': 'L', 'service-failed': 'F', 'answer-back': 'K' }
  return { changes, truth, kinds: changes.map(({ kind }) => letters[kind]).join('') }
}

/** A latency that is the same for the whole stretch, and within what the probe allows. */
function someCorrect(random: (below: number) => number): Behaviour {
  return { kind: 'correct', latencyMs: random(4) === 0 ? random(maxLatencyMs) : random(20) }
}

function someWrong(random: (below: number) => number): Behaviour {
  if (random(2) === 0) return { kind: 'silent' }
  return { kind: 'wrong', latencyMs: random(10), reason: 'connection refused' }
}

function requireTrue(change: ProbeChange, truth: readonly Stretch[]): void {
  const atMs = change.at.getTime()
  if (change.kind === 'answer-lost') {
    const sinceMs = change.lastCorrectAt?.getTime() ?? Number.NEGATIVE_INFINITY
    assert.ok(
      truth.some(({ fromMs, isUp, answersEndMs }) => !isUp && answersEndMs >= sinceMs && fromMs <= atMs),
      `no outage began between ${sinceMs} and ${atMs}`,
    )
  }
  if (change.kind === 'answer-back') {
    const sinceMs = change.lastWrongAt?.getTime() ?? Number.NEGATIVE_INFINITY
    assert.ok(
      truth.some(({ fromMs, isUp }) => isUp && fromMs >= sinceMs && fromMs <= atMs),
      `no outage ended between ${sinceMs} and ${atMs}`,
    )
  }
}

/** Whole numbers from 0, below what is asked for (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}
