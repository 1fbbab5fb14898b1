import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  assemble,
  conditionsOf,
  iso,
  node1,
  node2,
  noonMs,
  type Story,
  serving,
  tellStory,
  timesOf,
} from './ledger.fixture.ts'

test('a service that starts is planned to be away until its first correct answer, then up', () => {
  const { entries } = serving()
  assert.equal(conditionsOf(assemble(entries, 1000)), 'planned 0-100, up 100-1000')
})

test('its process is killed and it resumes from memory: one outage with all its parts and what was tried', () => {
  const { entries, home, watcher } = serving()
  home.failed(1013, 'process-died', 1000)
  home.rung(1014, 'resume-here')
  home.lost(1016, 'own', 900)
  watcher.lost(1030, 'other', 980)
  home.started(1044, 'resume-here')
  home.back(1061, 'own', 1056)
  home.rungEnded(1061, 'resume-here', true)
  watcher.back(1065, 'other', 1060)
  const assembled = assemble(entries, 2000)
  assert.equal(conditionsOf(assembled), 'planned 0-100, up 100-1000, down 1000-1061, degraded 1061-1065, up 1065-2000')
  const [outage, ...others] = assembled.outages
  assert.ok(outage !== undefined && others.length === 0)
  assert.deepEqual(timesOf(outage), [980, 1000, 1013, 1060, 1061])
  assert.equal(outage.cause, 'process-died')
  assert.deepEqual(outage.parts, { detectMs: 13, decideMs: 1, fenceMs: null, startMs: 30, serveMs: 17 })
  assert.deepEqual([outage.durationMs, outage.durationAtLeastMs, outage.durationAtMostMs], [61, 47, 81])
  assert.deepEqual(
    outage.attempts.map(({ rung, isCured }) => [rung, isCured]),
    [['resume-here', true]],
  )
  assert.deepEqual([outage.drillId, outage.endedBy], [null, 'answer'])
})

test('a guest panics, the resume fails and a boot cures it: one outage, two attempts', () => {
  const { entries, home } = serving()
  home.lost(1000, 'own', 900)
  home.failed(1010, 'guest-panicked')
  home.rung(1011, 'resume-here')
  home.started(1040, 'resume-here')
  home.failed(1540, 'wrong-answers')
  home.rungEnded(1540, 'resume-here', false)
  home.rung(1541, 'boot')
  home.started(1600, 'boot')
  home.back(4000, 'own', 3995)
  home.rungEnded(4000, 'boot', true)
  const { outages } = assemble(entries, 9000)
  assert.equal(outages.length, 1)
  assert.equal(outages[0]?.cause, 'guest-panicked')
  assert.deepEqual(
    outages[0]?.attempts.map(({ rung, isCured }) => `${rung} ${isCured}`),
    ['resume-here false', 'boot true'],
  )
  assert.deepEqual(timesOf(outages[0]), [900, 950, 1000, 3995, 4000])
})

test('a user stops it while it is down: the outage ends there, and it is planned until it serves again', () => {
  const { entries, fact, home } = serving()
  home.failed(1000, 'wrong-answers')
  home.lost(1000, 'own', 990)
  fact({ kind: 'planned-began', at: iso(2000), what: 'stop', user: 'ada' })
  home.tell(2100, { kind: 'planned', what: 'stopped' })
  home.ended(2100, 'own')
  fact({ kind: 'planned-ended', at: iso(5000), what: 'stop', user: 'ada' })
  home.started(5050, null)
  home.began(5060, 'own', false)
  home.back(6000, 'own', 5995)
  const assembled = assemble(entries, 7000)
  assert.equal(conditionsOf(assembled), 'planned 0-100, up 100-995, down 995-2000, planned 2000-6000, up 6000-7000')
  assert.equal(assembled.outages[0]?.endedBy, 'planned')
  assert.equal(assembled.outages[0]?.durationMs, 1005)
})

test('a user who starts what has failed does not make the rest of the outage planned', () => {
  const { entries, fact, home } = serving()
  home.failed(1000, 'process-died')
  fact({ kind: 'planned-began', at: iso(5000), what: 'start', user: 'ada' })
  home.started(5050, null)
  home.began(5060, 'own', false)
  home.back(6000, 'own', 5995)
  assert.equal(conditionsOf(assemble(entries, 7000)), 'planned 0-100, up 100-1000, down 1000-6000, up 6000-7000')
})

test('maintenance through which it answers on is planned, and ends when it is said to', () => {
  const { entries, fact } = serving()
  fact({ kind: 'planned-began', at: iso(1000), what: 'maintenance', user: 'ada' })
  fact({ kind: 'planned-ended', at: iso(1500), what: 'maintenance', user: 'ada' })
  assert.equal(conditionsOf(assemble(entries, 2000)), 'planned 0-100, up 100-1000, planned 1000-1500, up 1500-2000')
})

test('a pause is planned until the first correct answer after it', () => {
  const { entries, home } = serving()
  home.tell(1000, { kind: 'planned', what: 'paused' })
  home.tell(1500, { kind: 'planned', what: 'resumed' })
  home.began(1520, 'own', true)
  assert.equal(conditionsOf(assemble(entries, 2000)), 'planned 0-100, up 100-1000, planned 1000-1520, up 1520-2000')
})

test('a start that never serves is planned for ten minutes, then nobody calls it that any more', () => {
  const story = tellStory()
  story.agent(node1).started(0, null)
  story.agent(node1, 2).began(50, 'own', false)
  assert.equal(conditionsOf(assemble(story.entries, 700_000)), 'planned 0-600000, degraded 600000-700000')
})

test('a stop looks like a death of its process, and is none', () => {
  const { entries, fact, home } = serving()
  fact({ kind: 'planned-began', at: iso(1000), what: 'stop', user: 'ada' })
  home.lost(1100, 'own', 1050)
  home.failed(1110, 'process-died')
  assert.deepEqual(assemble(entries, 2000).outages, [])
})

test('answers that were lost without a failure make it degraded, not down', () => {
  const { entries, home } = serving()
  home.lost(1000, 'own', 900)
  home.back(1005, 'own', 1000)
  const assembled = assemble(entries, 2000)
  assert.equal(conditionsOf(assembled), 'planned 0-100, up 100-1000, degraded 1000-1005, up 1005-2000')
  assert.deepEqual(assembled.outages, [])
})

test('a failure that is found late was one from the first lost answer on', () => {
  const { entries, home } = serving()
  home.lost(1000, 'own', 900)
  home.failed(2000, 'wrong-answers')
  home.back(2100, 'own', 2095)
  const [outage] = assemble(entries, 3000).outages
  assert.deepEqual(outage === undefined ? [] : timesOf(outage), [900, 950, 1000, 2095, 2100])
  assert.equal(outage?.parts.detectMs, 1050)
})

test('a service that is deleted while it is down: the outage ends, and nothing is known after that', () => {
  const { entries, fact, home } = serving()
  home.failed(1000, 'process-died')
  fact({ kind: 'planned-began', at: iso(2000), what: 'delete', user: 'ada' })
  fact({ kind: 'planned-ended', at: iso(2500), what: 'delete', user: 'ada' })
  const assembled = assemble(entries, 4000)
  assert.equal(
    conditionsOf(assembled),
    'planned 0-100, up 100-1000, down 1000-2000, planned 2000-2500, unobserved 2500-4000',
  )
  assert.equal(assembled.outages[0]?.endedBy, 'planned')
})

test('an outage that goes on has a beginning, no end and the parts that are known', () => {
  const { entries, home } = serving()
  home.failed(1010, 'guest-hung', 1000)
  home.lost(1012, 'own', 900)
  home.rung(1015, 'resume-here')
  const [outage] = assemble(entries, 1100).outages
  assert.deepEqual([outage?.endedBy, outage?.durationMs, outage?.endedBetween], [null, null, null])
  assert.deepEqual(outage?.attempts[0]?.isCured, null)
})

test('an outage that a drill made is entered with its id, the next one without', () => {
  const { entries, fact, home } = serving()
  fact({ kind: 'drill-began', at: iso(995), drillId: 'task-aaaaaaaa', drill: 'kill-qemu' })
  for (const ms of [1000, 3000]) {
    home.failed(ms, 'process-died')
    home.back(ms + 60, 'own', ms + 55)
    home.rungEnded(ms + 60, 'resume-here', true)
  }
  fact({ kind: 'drill-ended', at: iso(1080), drillId: 'task-aaaaaaaa', drill: 'kill-qemu' })
  assert.deepEqual(
    assemble(entries, 5000).outages.map(({ drillId }) => drillId),
    ['task-aaaaaaaa', null],
  )
})

test('a drill that nobody ended does not take the outages of later days for its own', () => {
  const { entries, fact, home } = serving()
  fact({ kind: 'drill-began', at: iso(995), drillId: 'task-aaaaaaaa', drill: 'kill-qemu' })
  home.failed(86_400_000, 'process-died')
  assert.equal(assemble(entries, 86_500_000).outages[0]?.drillId, null)
})

test('without a probe a running process counts as serving', () => {
  const story = tellStory()
  const home = story.agent(node1)
  home.started(0, null)
  home.failed(1013, 'process-died', 1000)
  home.rung(1014, 'boot')
  home.started(1100, 'boot')
  home.rungEnded(1100, 'boot', true)
  assert.equal(conditionsOf(assemble(story.entries, 2000)), 'up 0-1000, down 1000-1100, up 1100-2000')
})

test('a clock that steps back by an hour in an outage keeps the length of the outage', () => {
  const { entries, home } = serving()
  const hour = 3_600_000
  home.failed(5000, 'process-died')
  home.lost(5005, 'own', 4995)
  home.tell(5010 - hour, { kind: 'rung-begun', epoch: 1, incarnation: 0, rung: 'boot', reason: '' })
  home.back(5500 - hour, 'own', 5495 - hour)
  const { outages } = assemble(entries, 9000)
  assert.deepEqual(
    outages.map(({ durationMs }) => durationMs),
    [5495 - 4997],
  )
})

test('the same entries in any order, and doubled, say the same', () => {
  const { entries, fact, home, watcher } = serving()
  home.failed(1013, 'process-died', 1000)
  home.lost(1016, 'own', 900)
  watcher.lost(1030, 'other', 980)
  fact({ kind: 'host-suspect', at: iso(1040), hostId: node2, lastHeardAt: iso(1000) })
  home.back(1061, 'own', 1056)
  const turned = [...entries, ...entries].reverse()
  assert.deepEqual(assemble(turned, 2000), assemble(entries, 2000))
})

test('a service without entries has no history', () => {
  assert.deepEqual(assemble([], 1000), { intervals: [], outages: [], quiet: null, reachesBack: false })
})

test('from a quiet point on it goes on without what came before, and says when that is not enough', () => {
  const { entries, home } = serving()
  const before = assemble(entries, 500)
  assert.equal(before.quiet?.atMs, noonMs + 110)
  const known = entries.length
  home.failed(1013, 'process-died', 1000)
  home.back(1061, 'own', 1056)
  const whole = assemble(entries, 2000)
  const rest = assemble(entries.slice(known), 2000, before.quiet ?? undefined)
  assert.deepEqual(rest.outages, whole.outages)
  assert.equal(conditionsOf(rest), 'up 110-1000, down 1000-1061, up 1061-2000')
  assert.equal(rest.reachesBack, false)
  const late = tellStory()
  late.fact({ kind: 'host-suspect', at: iso(1800), hostId: node1, lastHeardAt: iso(90) })
  assert.equal(assemble(late.entries, 2000, before.quiet ?? undefined).reachesBack, true)
})

test('while anything is open there is no quiet point: a failure without a probe, a drill, a silent host', () => {
  const beginnings: ((story: Story) => void)[] = [
    ({ agent }) => agent(node1).failed(1000, 'process-died'),
    ({ fact }) => fact({ kind: 'drill-began', at: iso(1000), drillId: 'task-aaaaaaaa', drill: 'panic' }),
    ({ fact }) => fact({ kind: 'host-suspect', at: iso(1000), hostId: node1, lastHeardAt: iso(900) }),
  ]
  for (const begin of beginnings) {
    const story = tellStory()
    story.agent(node1).started(0, null)
    const next = { ...story, agent: () => story.agent(node1, 2) }
    begin(next)
    assert.equal(assemble(story.entries, 2000).quiet?.atMs, noonMs)
  }
})
