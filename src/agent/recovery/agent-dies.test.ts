import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { webId } from '../machines/machine-host.fixture.ts'
import { currentLayer, leftOvers, recoveryOf, startReady, warm, writtenPath } from './recovering-machine.fixture.ts'

describe('after a restart of the agent', () => {
  test('a spare of the earlier one is ended with all that it had, and another one waits soon', async () => {
    const host = await startReady()
    const [spare] = host.spares()
    await host.restartAgent()
    assert.notEqual(spare?.exit, undefined)
    assert.deepEqual(await leftOvers(host), [])
    await host.clock.advance(3_000)
    assert.equal(recoveryOf(host).spare, 'ready')
    assert.deepEqual(await leftOvers(host), [])
  })

  test('a machine that was resumed from a spare is found, and resumes again when it dies', async () => {
    const host = await startReady()
    await host.crash()
    await host.clock.advance(3_000)
    const pid = host.living()?.pid
    await host.restartAgent()
    await host.clock.advance(3_000)
    assert.equal(host.living()?.pid, pid)
    assert.equal(recoveryOf(host).startedBy, 'resume')
    await host.crash()
    await host.clock.advance(3_000)
    assert.equal(recoveryOf(host).startedBy, 'resume')
    assert.deepEqual(await leftOvers(host), [])
  })

  for (const delayMs of [10, 30, 60, 90, 110, 130, 150, 170, 190, 250])
    test(`which came ${delayMs} ms into a recovery, the machine runs as one process, and nothing is left over`, async () => {
      const host = await startReady()
      host.storage.setFault({ kind: 'slow', delayMs: 60 })
      host.kill()
      await host.clock.advance(delayMs)
      host.storage.setFault({ kind: 'none' })
      await host.restartAgent()
      await host.clock.advance(10_000)
      assert.equal(host.report()?.phase, 'running')
      assert.equal(host.living()?.state, 'running')
      assert.equal(recoveryOf(host).service, 'correct')
      assert.equal(recoveryOf(host).spare, 'ready')
      assert.ok(writtenPath(host)?.includes(String((await currentLayer(host)) ?? 'disk')))
      assert.deepEqual(await leftOvers(host), [])
    })

  test('a machine whose process had been taken over, but not let run, goes on', async () => {
    const host = await startReady()
    const [spare] = host.spares()
    await host.crash()
    await host.restartAgent({
      meanwhile: () => host.world.setState(host.living()?.definition.runDirectory ?? '', 'paused'),
    })
    await host.clock.advance(3_000)
    assert.equal(host.living()?.pid, spare?.pid)
    assert.equal(host.report()?.phase, 'running')
    assert.equal(host.living()?.state, 'running')
  })

  test('a machine that its owner had paused stays paused', async () => {
    const host = await startReady()
    await host.room.keeper(webId)?.pause()
    await host.restartAgent()
    await host.clock.advance(60_000)
    assert.equal(host.report()?.phase, 'paused')
    assert.equal(host.living()?.state, 'paused')
    await host.room.keeper(webId)?.resume()
    assert.equal(host.living()?.state, 'running')
  })

  test('a leased machine that was frozen thaws with the next licence, and not before', async () => {
    const host = await startReady({ ...warm, leased: true }, (one) => one.renewLease())
    host.renewLease()
    await host.pass(5_000)
    assert.equal(host.report()?.phase, 'frozen')
    await host.restartAgent()
    await host.pass(1_000)
    assert.equal(host.living()?.state, 'paused')
    host.renewLease()
    await host.pass(200)
    assert.equal(host.living()?.state, 'running')
    assert.equal(host.report()?.phase, 'running')
  })

  test('an ordered resume that nobody had confirmed leaves no process, layer, tap or folder', async () => {
    const host = await startReady()
    await host.release(1)
    await host.clock.advance(1_000)
    host.answerToStarts = undefined
    await host.start(2, { ...warm, start: 'resume' })
    await host.clock.advance(200)
    assert.equal(host.living()?.state, 'paused')
    await host.restartAgent()
    assert.equal(host.living(), undefined)
    assert.equal(host.records.size, 0)
    assert.deepEqual(await host.network.listTaps(), [])
    assert.deepEqual([...host.files.processes.keys()], [])
  })
})
