import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTerminal } from './stand-in/open-terminal.fixture.ts'
import { makeRecoveryPlan } from './stand-in/recovery-answers.ts'

const terminal = openTerminal()
const { dialtone } = terminal

test('a plan says what would be lost, and for each failure what is tried, and how it ends', async () => {
  const { code, out } = await dialtone('vm recover web --plan')
  assert.equal(code, 0)
  assert.match(out, /^A recovery resumes its memory image and loses 12 MiB.*\nIt is not recovered on another host/)
  assert.match(
    out,
    /When its process dies: node1 sees the end of its process\. It serves again after 310ms, to be expected\.\nSTEP +RUNG +WAITS +TAKES +CURES +LOSES\n1 +resume-here +- +92ms +96 % +12 MiB.*\n2 +boot +250ms +5\.2s +90 % +nothing on disk.*\nThen: Needs a person/,
  )
  assert.match(out, /When its host dies: node1 falls silent\.\nNeeds a person: it has no HA\.\n/)
  assert.deepEqual(terminal.standIn.situation.changes, [])
})

test('a plan with --json is the API’s answer', async () => {
  const { out } = await dialtone('vm recover web --plan --json')
  assert.deepEqual(JSON.parse(out), makeRecoveryPlan())
})

test('a recovery by hand asks first, as it ends a machine', async () => {
  const { code, err } = await dialtone('vm recover web')
  assert.equal(code, 1)
  assert.match(err, /^error: Nothing was done: web needs a confirmation/)
  assert.deepEqual(terminal.standIn.situation.changes, [])
})

test('by hand it is recovered as a failure would begin, or by the rung that is named', async () => {
  const { code, out } = await dialtone('vm recover web --yes')
  assert.deepEqual([code, out], [0, 'web is running on node1 (10.20.0.11).\n'])
  assert.equal((await dialtone('vm recover web --rung boot --yes')).code, 0)
  assert.deepEqual(terminal.standIn.situation.changes, ['recover web resume-here', 'recover web boot'])
})

test('a rung that is not possible is refused with the reason, before anything is asked or done', async () => {
  const { code, err } = await dialtone('vm recover web --rung resume-elsewhere --yes')
  assert.equal(code, 1)
  assert.match(err, /^error: web can't be recovered by resume-elsewhere: it has no HA\.\nSee what is possible: /)
  assert.deepEqual(terminal.standIn.situation.changes, [])
})

test('a rung that does not exist, or one beside --plan, is wrong usage', async () => {
  const [unknown, both] = await Promise.all([
    dialtone('vm recover web --rung pray --yes'),
    dialtone('vm recover web --plan --rung boot'),
  ])
  assert.equal(unknown.code, 2)
  assert.match(unknown.err, /Allowed choices are restart-in-guest, resume-here/)
  assert.equal(both.code, 2)
  assert.match(both.err, /either --plan or --rung/)
})
