/** Scenarios of hosts and agents: killed, cut off, restarted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble, conditionsOf, iso, node1, node2, serving, tellStory, timesOf } from './ledger.fixture.ts'

test('a host is killed with its records: the outage begins where the other prober lost its answers', () => {
  const { entries, fact, watcher, agent } = serving()
  watcher.lost(1100, 'other', 1050)
  fact({ kind: 'host-suspect', at: iso(1800), hostId: node1, lastHeardAt: iso(1000) })
  fact({ kind: 'host-proven-dead', at: iso(2300), hostId: node1, lastHeardAt: iso(1000), proof: 'power' })
  fact({
    kind: 'decided',
    at: iso(2310),
    fromHostId: node1,
    toHostId: node2,
    rung: 'resume-elsewhere',
    reason: 'image',
  })
  const there = agent(node2)
  there.started(2400, null)
  there.began(2402, 'own', false)
  there.back(2450, 'own', 2445)
  watcher.back(2452, 'other', 2447)
  const assembled = assemble(entries, 3000)
  assert.equal(conditionsOf(assembled), 'planned 0-100, up 100-1075, down 1075-2450, degraded 2450-2452, up 2452-3000')
  const [outage] = assembled.outages
  assert.deepEqual(outage === undefined ? [] : timesOf(outage), [1050, 1075, 1100, 2447, 2450])
  assert.equal(outage?.cause, 'host-died')
  assert.deepEqual(outage?.parts, { detectMs: 725, decideMs: 10, fenceMs: 500, startMs: 90, serveMs: 50 })
  assert.deepEqual(
    outage?.attempts.map(({ rung, isCured, tookMs }) => [rung, isCured, tookMs]),
    [['resume-elsewhere', true, 140]],
  )
})

test('a host is killed and nobody else looked: the outage begins at its last heartbeat', () => {
  const story = tellStory()
  story.agent(node1).began(0, 'own', true)
  story.fact({ kind: 'host-suspect', at: iso(1800), hostId: node1, lastHeardAt: iso(1000) })
  const silent = assemble(story.entries, 2000)
  assert.equal(conditionsOf(silent), 'up 0-1000, unobserved 1000-2000')
  story.fact({ kind: 'host-proven-dead', at: iso(4000), hostId: node1, lastHeardAt: iso(1000), proof: 'lease' })
  const open = assemble(story.entries, 5000)
  assert.equal(conditionsOf(open), 'up 0-1000, down 1000-5000')
  assert.deepEqual(
    [open.outages[0]?.endedBetween, open.outages[0]?.durationMs, open.outages[0]?.beganBetween],
    [null, null, [iso(1000), iso(1800)]],
  )
  const there = story.agent(node2)
  there.started(5000, null)
  there.began(5010, 'own', true)
  const cured = assemble(story.entries, 9000)
  assert.equal(conditionsOf(cured), 'up 0-1000, down 1000-5010, up 5010-9000')
  assert.equal(cured.outages[0]?.id, open.outages[0]?.id)
})

test('a host was only cut off from the controller: what its prober saw counts when it arrives', () => {
  const story = tellStory()
  const home = story.agent(node1)
  home.began(0, 'own', true)
  story.fact({ kind: 'host-suspect', at: iso(1800), hostId: node1, lastHeardAt: iso(1000) })
  home.failed(2000, 'process-died')
  home.lost(2002, 'own', 1990)
  home.back(2060, 'own', 2055)
  story.fact({ kind: 'host-heard', at: iso(9000), hostId: node1 })
  assert.equal(conditionsOf(assemble(story.entries, 9500)), 'up 0-1995, down 1995-2060, up 2060-9500')
})

test('a host that is cut off counts as up only where the other prober gets answers', () => {
  const { entries, fact, watcher } = serving()
  watcher.lost(1100, 'other', 1050)
  fact({ kind: 'host-suspect', at: iso(1800), hostId: node1, lastHeardAt: iso(1000) })
  watcher.back(2500, 'other', 2495)
  fact({ kind: 'host-heard', at: iso(2600), hostId: node1 })
  const assembled = assemble(entries, 3000)
  assert.equal(conditionsOf(assembled), 'planned 0-100, up 100-1075, down 1075-2500, up 2500-3000')
  assert.equal(assembled.outages[0]?.cause, 'unknown')
})

test('an agent that restarts leaves a gap that is neither up nor down', () => {
  const story = tellStory()
  story.agent(node1).began(0, 'own', true)
  story.fact({
    kind: 'session-began',
    at: iso(1500),
    hostId: node1,
    session: story.agent(node1, 2).id,
    lastHeardAt: iso(1000),
  })
  story.agent(node1, 2).began(1600, 'own', true)
  assert.equal(conditionsOf(assemble(story.entries, 2000)), 'up 0-1000, unobserved 1000-1600, up 1600-2000')
})

test('an agent that restarts in the middle of a recovery does not end the outage', () => {
  const { entries, fact, home, agent } = serving()
  home.failed(1000, 'process-died', 990)
  home.rung(1001, 'resume-here')
  const next = agent(node1, 2)
  fact({ kind: 'session-began', at: iso(1500), hostId: node1, session: next.id, lastHeardAt: iso(1250) })
  next.began(1600, 'own', false)
  next.back(1700, 'own', 1695)
  const { outages } = assemble(entries, 2000)
  assert.deepEqual(outages.map(timesOf), [[100, 990, 1000, 1695, 1700].map((ms) => (ms === 100 ? 110 : ms))])
})

test('while one agent restarts, the other prober bridges the gap', () => {
  const { entries, fact, agent } = serving()
  const next = agent(node1, 2)
  fact({ kind: 'session-began', at: iso(1500), hostId: node1, session: next.id, lastHeardAt: iso(1000) })
  next.began(1600, 'own', true)
  assert.equal(conditionsOf(assemble(entries, 2000)), 'planned 0-100, up 100-2000')
})

test('probing moves to another host with the machine: it stays up', () => {
  const { entries, home, agent } = serving()
  const there = agent(node2)
  there.began(1000, 'own', true)
  home.lost(1005, 'own', 995)
  home.ended(1010, 'own')
  assert.equal(conditionsOf(assemble(entries, 2000)), 'planned 0-100, up 100-2000')
})

test('what a host tells of a machine that has long been recovered elsewhere changes nothing', () => {
  const { entries, agent, home } = serving()
  const there = agent(node2)
  there.began(1000, 'own', true)
  home.failed(1500, 'process-died')
  assert.deepEqual(assemble(entries, 2000).outages, [])
})
