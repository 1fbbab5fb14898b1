import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sessionIdOf } from '../../model/cluster-state.fixture.ts'
import { failuresAtMost } from '../../model/recovery/ladder.ts'
import { defaultTimings } from '../../model/timings.ts'
import { reapWithinMs } from './keeping.ts'
import { createMachineHost, webId } from './machine-host.fixture.ts'

describe('an ordered start', () => {
  test('is written down, guarded, started paused, confirmed, and only then runs', async () => {
    const host = await createMachineHost()
    host.answerToStarts = undefined
    await host.start(1)
    assert.equal(host.report()?.phase, 'starting')
    assert.equal(host.living()?.state, 'paused')
    const before = ['write 1.0 unconfirmed running', 'claim 1.0', `guard ${webId}`, 'start 1.0']
    assert.deepEqual(
      host.history.filter((entry) => !entry.startsWith('unguard') && !entry.startsWith('phase')).slice(-4),
      before,
    )
    host.answerToStarts = true
    await host.clock.advance(50)
    assert.equal(host.living()?.state, 'running')
    assert.equal(host.report()?.phase, 'running')
    assert.equal(host.records.get(webId)?.confirmed, true)
  })

  for (const [answer, statement] of [
    [false, 'that the leader refuses'],
    [undefined, 'that nobody confirms in time'],
  ] as const) {
    test(`${statement} is killed, unguarded and not tried again`, async () => {
      const host = await createMachineHost()
      host.answerToStarts = answer
      await host.start(1)
      await host.clock.advance(2_000)
      host.renewLease()
      await host.clock.advance(60_000)
      assert.equal(host.living(), undefined)
      assert.equal(host.report()?.phase, 'failed')
      assert.equal(host.isGuarded(), false)
      assert.equal(host.history.filter((entry) => entry.startsWith('start ')).length, 1)
    })
  }

  test('is answered at once, and a repeated one changes nothing', async () => {
    const host = await createMachineHost()
    await host.start(1)
    const { length } = host.history
    await host.start(1)
    assert.equal(host.history.length, length)
  })

  test('starts nothing when the watchdog does not know the machine', async () => {
    const host = await createMachineHost()
    host.isWatchdogSilent = true
    await host.start(1)
    assert.equal(host.report()?.phase, 'failed')
    assert.equal(host.history.includes('start 1.0'), false)
  })

  test('of a newer epoch begins after the old life is reaped', async () => {
    const host = await createMachineHost()
    await host.start(1)
    const old = host.living()
    assert.ok(old)
    await host.start(2)
    assert.notEqual(old.exit, undefined)
    const [reaped, started] = [host.history.lastIndexOf(`unguard ${webId}`), host.history.indexOf('start 2.0')]
    assert.ok(reaped !== -1 && reaped < started)
    assert.equal(host.living()?.definition.life.epoch, 2)
  })

  test('of a newer epoch does not begin while the old life cannot be reaped', async () => {
    const host = await createMachineHost()
    await host.start(1)
    const old = host.living()
    assert.ok(old)
    old.isUnkillable = true
    await host.start(2)
    await host.clock.advance(reapWithinMs)
    assert.equal(host.history.includes('start 2.0'), false)
    assert.equal(host.report()?.phase, 'failed')
    assert.equal(host.isGuarded(), true)
  })

  test('that is overtaken while it waits for its confirmation never runs', async () => {
    const host = await createMachineHost()
    host.answerToStarts = undefined
    await host.start(1)
    const first = host.living()
    host.order(2)
    host.answerToStarts = true
    await host.clock.advance(200)
    assert.equal(first?.exit?.reason, 'killed')
    assert.equal(host.living()?.definition.life.epoch, 2)
  })
})

describe('an order', () => {
  test('of another session, an older term or an older epoch is refused', async () => {
    const host = await createMachineHost()
    const order = host.room.keeperFor
    await host.start(3)
    const current = { term: 5, session: host.session }
    host.room.checkAuthority(current)
    assert.throws(() => host.order(4), { code: 'session-void' }, 'term 1 after term 5')
    assert.throws(() => order(webId, { authority: { ...current, session: sessionIdOf('other') }, epoch: 3 }), {
      code: 'session-void',
    })
    assert.throws(() => order(webId, { authority: current, epoch: 2 }), { code: 'stale-epoch' })
    assert.throws(() => order(webId, { authority: current, epoch: 4 }), { code: 'stale-epoch' })
    assert.equal(order(webId, { authority: current, epoch: 3 }).report().phase, 'running')
  })
})

describe('a machine whose process dies', () => {
  test('restarts on the spot at once, under the next incarnation that was written down before', async () => {
    const host = await createMachineHost()
    await host.start(1)
    host.answerToStarts = false
    await host.crash()
    assert.equal(host.report()?.phase, 'running')
    assert.deepEqual(host.living()?.definition.life, { vmId: webId, epoch: 1, incarnation: 1 })
    const written = host.history.indexOf('write 1.1 confirmed running')
    assert.ok(written !== -1 && written < host.history.indexOf('start 1.1'))
    assert.equal(host.report()?.crashes, 1)
  })

  test('waits longer each time, and is given up after too many', async () => {
    const host = await createMachineHost()
    await host.start(1, { leased: false })
    await host.crash()
    await host.crash()
    assert.equal(host.report()?.phase, 'restarting')
    await host.clock.advance(249)
    assert.equal(host.living(), undefined)
    await host.clock.advance(1)
    assert.equal(host.living()?.definition.life.incarnation, 2)
    for (let crash = 3; crash <= failuresAtMost + 1; crash += 1) {
      await host.crash()
      await host.clock.advance(30_000)
    }
    assert.equal(host.report()?.phase, 'failed')
    assert.equal(host.living(), undefined)
    assert.equal(host.history.filter((entry) => entry.startsWith('start ')).length, failuresAtMost + 1)
  })

  test('because its guest shut down is not restarted, not even by the next agent', async () => {
    const host = await createMachineHost()
    await host.start(1)
    await host.room.keeper(webId)?.running()?.pressPowerButton()
    await host.clock.advance(60_000)
    assert.equal(host.report()?.phase, 'stopped')
    assert.equal(host.report()?.guestShutdown, true)
    await host.restartAgent()
    await host.clock.advance(60_000)
    assert.equal(host.living(), undefined)
    assert.equal(host.report()?.phase, 'stopped')
  })

  test('while its stop was ordered is not restarted', async () => {
    const host = await createMachineHost()
    await host.start(1)
    await host.crash()
    await host.crash()
    await host.room.keeper(webId)?.shutDown()
    await host.clock.advance(60_000)
    assert.equal(host.report()?.phase, 'stopped')
    assert.equal(host.living(), undefined)
  })

  test('as a newer epoch is ordered is not started without the word of the leader', async () => {
    const host = await createMachineHost()
    await host.start(1)
    await host.crash()
    // The second crash makes the restart wait; meanwhile the leader gives the machine to another host.
    const keeper = host.room.keeper(webId)
    const isBusy = keeper?.reset()
    host.kill()
    await Promise.resolve()
    host.answerToStarts = false
    host.order(2)
    await isBusy?.catch(() => undefined)
    await host.clock.advance(1_000)
    assert.equal(host.living(), undefined)
    assert.equal(host.report()?.phase, 'failed')
    const starts = host.history.filter((entry) => entry.startsWith('start '))
    assert.deepEqual(starts, ['start 1.0', 'start 1.1', 'start 2.0'])
  })
})

test('a machine that dies for the first time as a newer epoch is ordered begins no life between the two', async () => {
  const host = await createMachineHost()
  await host.start(1)
  const isBusy = host.room.keeper(webId)?.reset()
  host.kill()
  await Promise.resolve()
  host.order(2)
  await isBusy?.catch(() => undefined)
  await host.clock.settle()
  assert.deepEqual(
    host.history.filter((entry) => entry.startsWith('start ')),
    ['start 1.0', 'start 2.0'],
  )
  assert.equal(host.history.includes('phase failed'), false)
})

describe('a release', () => {
  test('answers when the machine is reaped, forgotten durably and no longer guarded', async () => {
    const host = await createMachineHost()
    await host.start(1)
    await host.release(1)
    assert.equal(host.living(), undefined)
    assert.equal(host.records.size, 0)
    assert.equal(host.isGuarded(), false)
    assert.equal(host.report(), undefined)
  })

  test('does not answer while the machine cannot be reaped, leaves it guarded, and may be repeated', async () => {
    const host = await createMachineHost()
    await host.start(1)
    const machine = host.living()
    assert.ok(machine)
    machine.isUnkillable = true
    const refused = assert.rejects(host.beginRelease(1), { code: 'deadline-exceeded' })
    await host.clock.advance(reapWithinMs)
    await refused
    assert.equal(host.isGuarded(), true)
    assert.equal(host.records.size, 1)
    machine.isUnkillable = false
    await host.release(1)
    assert.equal(host.isGuarded(), false)
    assert.equal(host.records.size, 0)
  })

  test('answers when what the machine had sent to its disk has landed; one that stood still has nothing on its way', async () => {
    for (const isPaused of [false, true]) {
      const host = await createMachineHost()
      await host.start(1)
      if (isPaused) await host.room.keeper(webId)?.pause()
      let isAnswered = false
      const released = host.beginRelease(1).then(() => {
        isAnswered = true
      })
      await host.clock.advance(defaultTimings.drainMs - 1)
      assert.deepEqual([host.living(), isAnswered, host.report() === undefined], [undefined, isPaused, isPaused])
      await host.clock.advance(1)
      await released
      assert.equal(host.report(), undefined)
    }
  })

  test('voids later orders up to its epoch, also for a machine that never was here', async () => {
    const host = await createMachineHost()
    await host.release(3)
    assert.throws(() => host.order(2), { code: 'stale-epoch' })
    assert.throws(() => host.order(3), { code: 'stale-epoch' })
    await host.start(4)
    assert.equal(host.report()?.phase, 'running')
    await assert.rejects(host.release(3), { code: 'stale-epoch' })
    assert.equal(host.living()?.definition.life.epoch, 4)
  })

  test('of a fenced host voids late orders under the same epochs', async () => {
    const host = await createMachineHost()
    await host.start(3)
    const released = host.room.releaseLeased('fenced')
    await host.clock.advance(1_000)
    await released
    assert.throws(() => host.order(3), { code: 'stale-epoch' })
  })

  test('calls off a start that waits for its confirmation', async () => {
    const host = await createMachineHost()
    host.answerToStarts = undefined
    await host.start(1)
    const released = host.beginRelease(1)
    host.answerToStarts = true
    await host.clock.advance(100)
    await released
    assert.equal(host.living(), undefined)
    assert.equal(host.history.includes('phase running'), false)
  })

  test('that is repeated while it is under way touches no later life', async () => {
    const host = await createMachineHost()
    await host.start(1)
    host.removalsTakeMs = 20
    const repeats = [host.room.releaseLeased('fenced'), host.room.releaseLeased('fenced'), host.beginRelease(1)]
    const ordered = repeats[0]?.then(() => host.order(2))
    await host.clock.advance(1_000)
    await Promise.all([ordered, ...repeats])
    assert.deepEqual(host.living()?.definition.life, { vmId: webId, epoch: 2, incarnation: 0 })
    assert.equal(host.isGuarded(), true)
    assert.equal(host.records.get(webId)?.epoch, 2)
  })

  test('of a machine that nobody here knows, and a start that is ordered meanwhile, do not meet', async () => {
    const host = await createMachineHost()
    host.removalsTakeMs = 20
    const released = host.beginRelease(1)
    await host.clock.settle()
    host.removalsTakeMs = 0
    host.order(2)
    await host.clock.advance(1_000)
    await released
    assert.equal(host.records.get(webId)?.epoch, 2)
    assert.ok(host.history.indexOf(`remove ${webId}`) < host.history.indexOf('write 2.0 unconfirmed running'))
  })

  test('of a machine that nobody here knows ends what is left in its cgroup before it answers', async () => {
    const host = await createMachineHost()
    await host.start(1)
    host.records.clear()
    await host.restartAgent()
    assert.notEqual(host.living(), undefined)
    await host.release(1)
    assert.equal(host.living(), undefined)
  })
})
