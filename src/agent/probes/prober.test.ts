import assert from 'node:assert/strict'
import { test } from 'node:test'
import { vmIdSchema } from '../../model/ids.ts'
import { type Probe, probeSchema } from '../../model/recovery/probe.ts'
import { createVirtualClock, type VirtualClock } from '../virtual-clock.fixture.ts'
import { type Behaviour, createFakeService } from './fake-service.fixture.ts'
import { type CheckAnswer, type CheckOnce, createProber, type ProbeChange } from './prober.ts'

const correct: Behaviour = { kind: 'correct', latencyMs: 2 }
const refused: Behaviour = { kind: 'wrong', latencyMs: 0, reason: 'connection refused' }
const silent: Behaviour = { kind: 'silent' }

test('a service that answers is asked every 250 ms, counted from beginning to beginning', async () => {
  const { clock, prober, service, told } = makeWorld({ kind: 'correct', latencyMs: 40 })
  prober.start()
  await clock.advance(1_100)
  assert.deepEqual(told(), ['40 began correct', '40 serving'])
  // Until the first answer nothing is known, and it is asked often.
  const calm = service.asked.filter(({ atMs }) => atMs >= 40)
  assert.deepEqual(gaps(calm), [250, 250, 250, 250])
  assert.deepEqual(new Set(calm.map(({ timeoutMs }) => timeoutMs)), new Set([2_000]))
  assert.equal(prober.state().latencyMs, 40)
})

test('a service that takes longer than the interval is still asked at the interval, by at most 8 checks at a time', async () => {
  const { clock, prober, service } = makeWorld({ kind: 'correct', latencyMs: 900 }, { everyMs: 100 })
  prober.start()
  await clock.advance(5_000)
  assert.equal(prober.state().verdict, 'correct')
  assert.equal(service.inFlight(), 8)
  assert.equal(service.asked.length < 5_000 / 5, true)
})

test('a machine whose process died is asked every 5 ms, and its first correct answer ends the outage', async () => {
  const { clock, prober, service, told } = makeWorld(correct)
  prober.start()
  await clock.advance(1_000)
  service.behave(silent)
  await clock.advance(13)
  const before = service.asked.length
  prober.hurry('its process died')
  await clock.advance(60)
  assert.deepEqual(gaps(service.asked.slice(before)), Array(12).fill(5))
  service.behave({ kind: 'correct', latencyMs: 8 })
  await clock.advance(20)
  assert.deepEqual(told(), [
    '2 began correct',
    '2 serving',
    '1013 answer-lost, correct at 757: its process died',
    // Asked at 1078; the newest check that had waited for 8 ms in vain had begun at 1058: what came later was not waited for to its end.
    '1086 answer-back, wrong at 1058',
  ])
  assert.equal(service.inFlight() <= 1, true)
})

test('the checks of a silent machine are given up early, but one for each patience is kept open', async () => {
  const { clock, prober, service } = makeWorld(silent)
  prober.start()
  await clock.advance(6_000)
  assert.equal(service.inFlight() <= 17, true, `${service.inFlight()} in flight`)
  const patient = service.asked.filter(({ timeoutMs }) => timeoutMs === 2_000)
  assert.equal(Math.max(...gaps(patient)), 640)
  assert.equal(service.asked.filter(({ timeoutMs }) => timeoutMs === 20).length > 500, true)
})

test('a slow service is found back although most checks are given up before it answers', async () => {
  const { clock, prober, service, told } = makeWorld({ kind: 'correct', latencyMs: 700 })
  prober.start()
  await clock.advance(3_000)
  service.behave(silent)
  prober.hurry('its process died')
  await clock.advance(500)
  service.behave({ kind: 'correct', latencyMs: 700 })
  await clock.advance(1_400)
  assert.match(told().at(-1) ?? '', /answer-back/)
})

test('a service that doesn’t come back is asked every 100 ms after 30 s, and as always after 5 min', async () => {
  const { clock, prober, service } = makeWorld(refused)
  prober.start()
  await clock.advance(29_990)
  assert.equal(service.asked.length > 5_990, true)
  await clock.advance(1_000)
  const after30s = service.asked.length
  await clock.advance(10_000)
  assert.equal(service.asked.length - after30s, 100)
  await clock.advance(5 * 60_000)
  const after5min = service.asked.length
  await clock.advance(10_000)
  assert.equal(service.asked.length - after5min, 40)
})

test('wrong from the start is told once, as no loss and no failure of the service; serving comes with the first correct answer', async () => {
  const { clock, prober, service, told } = makeWorld(refused)
  prober.start()
  await clock.advance(4_999)
  assert.deepEqual(told(), ['0 began wrong: connection refused'])
  assert.equal(prober.state().failuresInARow, 20)
  service.behave(correct)
  await clock.advance(10)
  assert.deepEqual(told().slice(1), ['5002 serving', '5002 answer-back, wrong at 4995'])
})

test('a silent machine that was never ready gets its verdict when the probe’s latency has passed', async () => {
  const { clock, prober, told } = makeWorld(silent)
  prober.start()
  await clock.advance(1_999)
  assert.equal(prober.state().verdict, 'unknown')
  await clock.advance(20)
  assert.deepEqual(told(), ['2000 began wrong: no answer within 2000 ms'])
})

test('the service has failed when it was wrong for as many intervals as the probe allows, however often it was asked', async () => {
  const { clock, prober, service, told } = makeWorld(correct)
  prober.start()
  await clock.advance(300)
  service.behave(refused)
  await clock.advance(5_000)
  assert.deepEqual(told().slice(2), [
    '505 answer-lost, correct at 257: connection refused',
    '1255 service-failed: connection refused',
  ])
})

test('a moment of wrong answers is no failure of the service', async () => {
  const { clock, prober, service, told } = makeWorld(correct)
  prober.start()
  await clock.advance(300)
  service.behave(refused)
  await clock.advance(800)
  service.behave(correct)
  await clock.advance(1_000)
  assert.equal(
    told().some((line) => line.includes('service-failed')),
    false,
  )
  assert.match(told().at(-1) ?? '', /1107 answer-back, wrong at 1100/)
})

test('a frozen machine has failed when the checks of its last second have waited as long as they may', async () => {
  const { clock, prober, service, told } = makeWorld(correct)
  prober.start()
  await clock.advance(300)
  service.behave(silent)
  await clock.advance(5_000)
  assert.deepEqual(told().slice(2), [
    '2505 answer-lost, correct at 257: no answer within 2000 ms',
    '3255 service-failed: no answer within 2000 ms',
  ])
})

test('a service slower than allowed is a failure with that reason', async () => {
  const { clock, prober, service } = makeWorld(correct, { maxLatencyMs: 100 })
  prober.start()
  await clock.advance(300)
  service.behave({ kind: 'correct', latencyMs: 101 })
  await clock.advance(1_000)
  assert.equal(prober.state().verdict, 'wrong')
  assert.equal(prober.state().reason, 'no answer within 100 ms')
})

test('a flapping service is told as lost and back each time', async () => {
  const { clock, prober, service, told } = makeWorld(correct)
  prober.start()
  for (let turn = 0; turn < 3; turn += 1) {
    await clock.advance(500)
    service.behave(refused)
    await clock.advance(500)
    service.behave(correct)
  }
  await clock.advance(500)
  const kinds = told().map((line) => line.split(/[ ,:]+/)[1])
  assert.deepEqual(kinds, ['began', 'serving', ...Array(3).fill(['answer-lost', 'answer-back']).flat()])
})

test('an answer to a question from before the failure does not bring the machine back', async () => {
  const late: ((answer: CheckAnswer) => void)[] = []
  const { clock, prober, service, told, answerBy } = makeWorld(correct)
  prober.start()
  await clock.advance(10)
  answerBy(() => new Promise((resolve) => late.push(resolve)))
  await clock.advance(250)
  answerBy(service.checkOnce)
  service.behave(silent)
  prober.hurry('its process died')
  assert.equal(late.length, 1)
  for (const answer of late) answer({ isCorrect: true, latencyMs: 5 })
  await clock.advance(100)
  assert.equal(prober.state().verdict, 'wrong')
  assert.match(told().at(-1) ?? '', /answer-lost/)
})

test('a correct answer that was asked for before a wrong one is no sign of recovery', async () => {
  const { clock, prober, answerBy, told } = makeWorld(correct)
  prober.start()
  await clock.advance(10)
  const answers: ((answer: CheckAnswer) => void)[] = []
  answerBy(() => new Promise((resolve) => answers.push(resolve)))
  await clock.advance(600)
  const [earlier, later] = answers
  later?.({ isCorrect: false, isSilent: false, reason: 'status 500 instead of 200' })
  await clock.settle()
  earlier?.({ isCorrect: true, latencyMs: 400 })
  await clock.settle()
  assert.equal(prober.state().verdict, 'wrong')
  assert.match(told().at(-1) ?? '', /answer-lost, correct at 7: status 500/)
})

test('while nobody looks nothing is asked and nothing told; what was asked before is void', async () => {
  const { clock, prober, service, told } = makeWorld({ kind: 'correct', latencyMs: 100 })
  prober.start()
  await clock.advance(120)
  prober.pause()
  const before = { asked: service.asked.length, told: told().length }
  prober.hurry('its process died')
  await clock.advance(10_000)
  assert.equal(prober.state().verdict, 'unknown')
  assert.deepEqual({ asked: service.asked.length, told: told().length }, before)
  prober.start()
  prober.start()
  await clock.advance(150)
  assert.deepEqual(told().slice(before.told), ['10220 began correct'])
  prober.stop()
  prober.start()
  const stoppedAt = service.asked.length
  await clock.advance(1_000)
  assert.equal(service.asked.length, stoppedAt)
})

test('a recovered machine that fails again is found as the first time, and a restart that fails is not a failed service', async () => {
  const { clock, prober, service, told } = makeWorld(correct)
  prober.start()
  await clock.advance(500)
  service.behave(refused)
  prober.hurry('its process died')
  await clock.advance(10_000)
  prober.hurry('its process died')
  await clock.advance(10_000)
  service.behave(correct)
  await clock.advance(500)
  service.behave(refused)
  await clock.advance(2_000)
  const kinds = told().map((line) => line.split(/[ ,:]+/)[1])
  assert.deepEqual(kinds.slice(2), ['answer-lost', 'answer-back', 'answer-lost', 'service-failed'])
})

test('in the guest one program runs at a time, with all the time that the probe allows', async () => {
  const { clock, prober, service } = makeWorld(
    { kind: 'wrong', latencyMs: 30, reason: 'true ended with 1' },
    { check: { kind: 'exec', command: ['true'] } },
  )
  prober.start()
  await clock.advance(295)
  assert.deepEqual(gaps(service.asked), Array(9).fill(30))
  assert.deepEqual(new Set(service.asked.map(({ timeoutMs }) => timeoutMs)), new Set([2_000]))
})

function makeWorld(first: Behaviour, probe: Partial<Probe> = {}) {
  const clock = createVirtualClock(0)
  const service = createFakeService(clock, first)
  const lines: string[] = []
  const epochMs = clock.wallTime().getTime()
  let answering: CheckOnce = service.checkOnce
  const prober = createProber({
    target: { vmId: vmIdSchema.parse('vm-aaaaaaaa'), address: '10.1.2.3' },
    probe: { ...probeSchema.parse({ check: { kind: 'tcp', port: 80 } }), ...probe },
    checkOnce: (question) => answering(question),
    clock,
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    onChange: (change) => lines.push(describe(change, epochMs)),
  })
  const answerBy = (next: CheckOnce) => {
    answering = next
  }
  return { clock: clock satisfies VirtualClock, service, prober, answerBy, told: () => lines }
}

function describe(change: ProbeChange, epochMs: number): string {
  const since = (date: Date | null) => (date === null ? 'never' : String(date.getTime() - epochMs))
  const begun = `${since(change.at)} ${change.kind}`
  switch (change.kind) {
    case 'began':
      return `${begun} ${change.isCorrect ? 'correct' : `wrong: ${change.detail}`}`
    case 'serving':
      return begun
    case 'answer-lost':
      return `${begun}, correct at ${since(change.lastCorrectAt)}: ${change.detail}`
    case 'service-failed':
      return `${begun}: ${change.detail}`
    case 'answer-back':
      return `${begun}, wrong at ${since(change.lastWrongAt)}`
  }
}

function gaps(asked: readonly { readonly atMs: number }[]): number[] {
  return asked.slice(1).map(({ atMs }, index) => atMs - (asked[index]?.atMs ?? 0))
}
