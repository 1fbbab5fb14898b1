import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type MachineHost, webId } from '../machines/machine-host.fixture.ts'
import {
  failWhen,
  journalOf,
  keeperOf,
  leftOvers,
  probe,
  recoveryOf,
  rungsOf,
  startReady,
  warm,
} from './recovering-machine.fixture.ts'

const runDirectory = (host: MachineHost) => host.living()?.definition.runDirectory ?? ''

describe('a warm machine resumes', () => {
  for (const [cause, fail] of [
    ['guest-panicked', 'panic'],
    ['guest-hung', 'hang'],
  ] as const)
    test(`when its guest ${fail}s`, async () => {
      const host = await startReady()
      host.world[fail](runDirectory(host))
      await host.clock.advance(2_000)
      assert.equal(journalOf(host, 'failure-detected')[0]?.cause, cause)
      assert.equal(recoveryOf(host).startedBy, 'resume')
      assert.equal(recoveryOf(host).service, 'correct')
    })

  test('when its service answers wrongly, and is not judged by what the ended process had answered', async () => {
    const host = await startReady()
    const first = host.living()?.pid
    host.serves = (machine) => machine.pid !== first
    await host.clock.advance(3_000)
    assert.equal(journalOf(host, 'failure-detected')[0]?.cause, 'wrong-answers')
    assert.equal(recoveryOf(host).startedBy, 'resume')
    assert.equal(recoveryOf(host).service, 'correct')
    const order = host.journal.map(({ kind }) => kind)
    assert.ok(order.indexOf('rung-ended') > order.lastIndexOf('machine-started'))
  })

  test('also when the process that is being ended answers correctly once more', async () => {
    const host = await startReady()
    const first = host.living()?.pid
    host.killsTakeMs = 50
    host.serves = (machine) => machine.pid !== first || host.report()?.phase === 'restarting'
    await host.clock.advance(3_000)
    assert.notEqual(host.living()?.pid, first)
    assert.equal(recoveryOf(host).service, 'correct')
    const [ended, ...others] = journalOf(host, 'rung-ended')
    assert.deepEqual([ended?.isCured, others.length], [true, 0])
    const order = host.journal.map(({ kind }) => kind)
    assert.ok(order.indexOf('rung-ended') > order.lastIndexOf('machine-started'))
  })

  test('when its process dies while its owner had paused it, and serves again', async () => {
    const host = await startReady()
    await keeperOf(host).pause()
    await host.crash()
    await host.clock.advance(60_000)
    assert.equal(host.report()?.phase, 'running')
    assert.deepEqual(rungsOf(host), ['resume-here'])
    assert.equal(recoveryOf(host).service, 'correct')
  })
})

test('wrong answers of a machine that boots are only observed', async () => {
  const host = await startReady({ leased: false, probe })
  const pid = host.living()?.pid
  host.serves = () => false
  await host.clock.advance(60_000)
  assert.equal(host.living()?.pid, pid)
  assert.equal(recoveryOf(host).service, 'wrong')
  assert.deepEqual(rungsOf(host), [])
  assert.equal(journalOf(host, 'answer-lost').length, 1)
})

test('a service that was restarted in its guest is cured when it answers, without another process', async () => {
  const host = await startReady()
  const pid = host.living()?.pid
  let isBroken = true
  const { guests } = host.world
  host.world.guests = {
    ...guests,
    resident: (machine, request) => {
      if (request.do === 'restart') isBroken = false
      return guests.resident(machine, request)
    },
  }
  host.serves = () => !isBroken
  await keeperOf(host).recover('restart-in-guest')
  await host.clock.advance(1_000)
  assert.equal(host.living()?.pid, pid)
  assert.equal(recoveryOf(host).service, 'correct')
  assert.deepEqual(
    journalOf(host, 'rung-ended').map(({ rung, isCured }) => [rung, isCured]),
    [['restart-in-guest', true]],
  )
})

test('a machine whose service never answers after a recovery gets the next rungs in bounded time, and then a person', async () => {
  const host = await startReady()
  host.serves = () => false
  await host.crash()
  await host.clock.advance(16_000)
  assert.equal(rungsOf(host).length, 2)
  await host.clock.advance(10 * 60_000)
  assert.deepEqual(rungsOf(host).toSorted(), ['boot', 'boot', 'resume-here', 'resume-here'])
  assert.equal(host.report()?.phase, 'failed')
  assert.match(host.report()?.detail ?? '', /needs a person/)
  assert.equal(host.living(), undefined)
})

test('a machine that may run elsewhere asks for another host when resuming here was in vain', async () => {
  const host = await startReady({ ...warm, leased: true }, (one) => one.renewLease())
  host.renewLease()
  failWhen(host, ({ kind }) => kind === 'take-over')
  await host.crash()
  for (let second = 0; second < 5; second += 1) {
    host.renewLease()
    await host.clock.advance(1_000)
  }
  assert.equal(host.report()?.phase, 'failed')
  assert.equal(host.report()?.wantsOtherHost, true)
  assert.equal(host.living(), undefined)
  assert.equal(host.isGuarded(), false)
})

test('a machine without a probe counts as cured when it runs', async () => {
  const host = await startReady({ ...warm, probe: null })
  assert.equal(recoveryOf(host).spare, 'ready')
  await host.crash()
  await host.clock.advance(60_000)
  assert.deepEqual(rungsOf(host), ['resume-here'])
  assert.equal(recoveryOf(host).service, 'unprobed')
})

test('a recovered machine that its owner pauses, or that is being stopped, is not judged by its silence', async () => {
  for (const what of ['pause', 'shutDown'] as const) {
    const host = await startReady()
    host.serves = () => false
    await host.crash()
    await host.clock.advance(1_000)
    const rungs = rungsOf(host).length
    await keeperOf(host)[what]()
    await host.clock.advance(60_000)
    assert.equal(rungsOf(host).length, rungs)
    assert.equal(host.report()?.phase, what === 'pause' ? 'paused' : 'stopped')
  }
})

describe('a recovery by hand', () => {
  test('by a rung that is not possible is refused, and the machine runs on', async () => {
    const host = await startReady({ leased: false })
    const pid = host.living()?.pid
    for (const rung of ['resume-here', 'resume-elsewhere', 'rebuild-root'] as const)
      await assert.rejects(keeperOf(host).recover(rung), { code: 'wrong-state' })
    await host.clock.advance(1_000)
    assert.equal(host.living()?.pid, pid)
  })

  test('takes the rung that was asked for', async () => {
    const host = await startReady()
    await keeperOf(host).recover('boot')
    await host.clock.advance(2_000)
    assert.equal(recoveryOf(host).startedBy, 'boot')
    assert.deepEqual(await leftOvers(host), [])
  })
})

describe('a drill', () => {
  test('does not count as a failure: the twentieth is recovered like the first', async () => {
    const host = await startReady()
    for (let count = 0; count < 20; count += 1) {
      await keeperOf(host).injectFailure('kill-qemu')
      await host.clock.advance(3_000)
      assert.equal(recoveryOf(host).startedBy, 'resume')
      assert.equal(recoveryOf(host).service, 'correct')
    }
    assert.deepEqual(new Set(rungsOf(host)), new Set(['resume-here']))
    assert.equal(rungsOf(host).length, 20)
    assert.deepEqual(await leftOvers(host), [])
  })

  test('that could not be begun does not make a drill of the next failure', async () => {
    const host = await startReady()
    host.world.guests = { ...host.world.guests, run: () => ({ exitCode: 127, output: '' }) }
    await assert.rejects(keeperOf(host).injectFailure('wrong-answers'), { code: 'wrong-state' })
    await host.clock.advance(1_000)
    await host.crash()
    const [failure] = journalOf(host, 'failure-detected')
    assert.equal(failure?.failedAt, failure?.at)
  })
})

test('an order of a newer epoch during a recovery takes over, and what became of the older one is not told as its own', async () => {
  const host = await startReady()
  host.storage.setFault({ kind: 'slow', delayMs: 50 })
  await host.crash()
  await host.clock.advance(60)
  const { length } = host.history
  host.order(2, { ...warm, start: 'resume' })
  await host.clock.advance(60_000)
  host.storage.setFault({ kind: 'none' })
  assert.deepEqual(host.living()?.definition.life, { vmId: webId, epoch: 2, incarnation: 0 })
  const phases = host.history.slice(length).filter((entry) => entry.startsWith('phase'))
  assert.deepEqual(phases, ['phase starting', 'phase running'])
  assert.deepEqual(await leftOvers(host), [])
})
