import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { createMachineHost, webId } from './machine-host.fixture.ts'

const starts = (history: readonly string[]) => history.filter((entry) => entry.startsWith('start '))

describe('after a restart of the agent a machine', () => {
  test('that lives is found again untouched, guarded, and followed to its end', async () => {
    const host = await createMachineHost()
    await host.start(1)
    const pid = host.living()?.pid
    host.watchdog = undefined
    await host.restartAgent()
    assert.equal(host.report()?.phase, 'running')
    assert.equal(host.report()?.pid, pid)
    assert.equal(host.isGuarded(), true)
    host.renewLease()
    await host.crash()
    assert.deepEqual(host.living()?.definition.life, { vmId: webId, epoch: 1, incarnation: 1 })
  })

  test('that does not answer is found, guarded and can be released all the same', async () => {
    const host = await createMachineHost()
    await host.start(1)
    const machine = host.living()
    assert.ok(machine)
    machine.isDeaf = true
    await host.restartAgent()
    assert.equal(host.isGuarded(), true)
    await host.release(1)
    assert.equal(host.living(), undefined)
  })

  for (const leased of [true, false]) {
    for (const state of ['paused', 'io-error'] as const) {
      test(`that does not answer goes on when it answers again, ${leased ? 'with' : 'without'} a lease, though it was ${state}`, async () => {
        const host = await createMachineHost()
        await host.start(1, { leased })
        const machine = host.living()
        assert.ok(machine)
        host.world.setState(machine.definition.runDirectory, state)
        machine.isDeaf = true
        await host.restartAgent()
        await host.pass(2_000)
        machine.isDeaf = false
        for (let passed = 0; passed < 5_000; passed += 500) {
          host.renewLease()
          await host.pass(500)
        }
        assert.deepEqual([host.report()?.phase, machine.state], ['running', 'running'])
      })
    }
  }

  test('that died meanwhile restarts on the spot, once there is a licence', async () => {
    const host = await createMachineHost()
    await host.start(1)
    await host.restartAgent({ meanwhile: () => host.kill() })
    assert.equal(host.report()?.phase, 'restarting')
    assert.equal(host.living(), undefined)
    host.renewLease()
    await host.clock.advance(100)
    assert.deepEqual(host.living()?.definition.life, { vmId: webId, epoch: 1, incarnation: 1 })
  })

  test('that was never confirmed is killed and forgotten with its card: the leader orders anew', async () => {
    const host = await createMachineHost()
    host.answerToStarts = undefined
    await host.start(1)
    assert.equal(host.living()?.state, 'paused')
    await host.restartAgent()
    assert.equal(host.living(), undefined)
    assert.equal(host.report(), undefined)
    assert.equal(host.records.size, 0)
    assert.deepEqual(await host.network.listTaps(), [])
    assert.deepEqual(host.network.dhcpCards(), [])
  })

  test('of another boot is forgotten and not started', async () => {
    const host = await createMachineHost()
    await host.start(1)
    await host.restartAgent({ bootId: 'boot-2' })
    host.renewLease()
    await host.clock.advance(10_000)
    assert.equal(host.report(), undefined)
    assert.equal(host.records.size, 0)
    assert.deepEqual(starts(host.history), ['start 1.0'])
  })

  test('takes orders of the new session only', async () => {
    const host = await createMachineHost()
    await host.start(1)
    const { session } = host
    await host.restartAgent()
    assert.throws(() => host.room.keeperFor(webId, { authority: { term: 1, session }, epoch: 1 }), {
      code: 'session-void',
    })
  })

  test('that was released stays forgotten', async () => {
    const host = await createMachineHost()
    await host.start(1)
    await host.release(1)
    await host.restartAgent()
    host.renewLease()
    await host.clock.advance(10_000)
    assert.equal(host.report(), undefined)
    assert.deepEqual(starts(host.history), ['start 1.0'])
  })
})

describe('a machine that is paused by order', () => {
  test('and does not say that it stands still is told as paused when it says so, and can go on', async () => {
    const late = async () => {
      throw new DialtoneError('deadline-exceeded', 'the machine did not answer in time')
    }
    const host = await createMachineHost(undefined, { drained: late })
    await host.start(1)
    const keeper = host.room.keeper(webId)
    await assert.rejects(async () => keeper?.pause(), { code: 'deadline-exceeded' })
    host.renewLease()
    await host.pass(1_500)
    assert.deepEqual([host.report()?.phase, host.living()?.state], ['paused', 'paused'])
    await keeper?.resume()
    assert.deepEqual([host.report()?.phase, host.living()?.state], ['running', 'running'])
  })
})
