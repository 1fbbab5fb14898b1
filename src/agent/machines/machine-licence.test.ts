import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sharedId } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { defaultTimings } from '../../model/timings.ts'
import { reapWithinMs } from './keeping.ts'
import { createMachineHost, type MachineHost, webId } from './machine-host.fixture.ts'

const freezesAfterMs = defaultTimings.leaseMs - defaultTimings.pillFreeMs / 5
const entry = (host: MachineHost) => host.watchdog?.machines.find(({ vmId }) => vmId === webId)

async function startLeased(): Promise<MachineHost> {
  const host = await createMachineHost()
  await host.start(1)
  assert.equal(host.report()?.phase, 'running')
  return host
}

async function startFrozen(): Promise<MachineHost> {
  const host = await startLeased()
  await host.pass(defaultTimings.leaseMs)
  assert.equal(host.report()?.phase, 'frozen')
  return host
}

describe('a leased machine', () => {
  test('is frozen before its licence ends, and only then the watchdog is told that it needs none', async () => {
    const host = await startLeased()
    await host.pass(freezesAfterMs - 100)
    assert.equal(host.living()?.state, 'running')
    await host.pass(100 + 80)
    assert.equal(host.living()?.state, 'paused')
    assert.equal(host.report()?.phase, 'frozen')
    assert.equal(entry(host)?.isFrozen, true)
    assert.ok(!host.licences.isLicensed([sharedId], host.clock.bootTimeMs() + 200))
  })

  test('goes on running without a lease while its slot is read and free of a pill', async () => {
    const host = await startLeased()
    for (let second = 0; second < 20; second += 1) {
      host.licences.pillFreeRead(sharedId, host.clock.bootTimeMs())
      await host.pass(500)
    }
    assert.equal(host.report()?.phase, 'running')
  })

  test('thaws when the lease is back, and the watchdog hears of that first', async () => {
    const host = await startFrozen()
    host.renewLease()
    host.isWatchdogSilent = true
    await host.pass(80)
    assert.equal(host.living()?.state, 'paused')
    host.isWatchdogSilent = false
    await host.pass(80)
    assert.equal(host.living()?.state, 'running')
    assert.equal(host.report()?.phase, 'running')
    assert.equal(entry(host)?.isFrozen, false)
  })

  test('that was frozen while the watchdog did not answer thaws as well, and is not left standing', async () => {
    const host = await startLeased()
    host.isWatchdogSilent = true
    await host.pass(defaultTimings.leaseMs)
    assert.equal(host.living()?.state, 'paused')
    host.isWatchdogSilent = false
    host.renewLease()
    await host.pass(160)
    assert.equal(host.living()?.state, 'running')
    assert.equal(entry(host)?.isFrozen, false)
  })

  test('that did not confirm in time that it stands still goes on once it has, with its licence back long before', async () => {
    let hangs = true
    const drained = async () => {
      if (hangs) throw new DialtoneError('deadline-exceeded', 'the machine did not answer in time')
    }
    const host = await createMachineHost(defaultTimings, { drained })
    await host.start(1)
    await host.pass(freezesAfterMs + 80)
    assert.equal(host.living()?.state, 'paused')
    host.renewLease()
    await host.pass(160)
    assert.equal(host.living()?.state, 'paused')
    hangs = false
    await host.pass(160)
    assert.equal(host.living()?.state, 'running')
    assert.equal(host.report()?.phase, 'running')
    assert.equal(entry(host)?.isFrozen, false)
  })

  test('whose shutdown is ordered while it is frozen hears the power button when it thaws', async () => {
    const host = await startFrozen()
    await host.room.keeper(webId)?.shutDown()
    assert.equal(host.report()?.phase, 'frozen')
    host.renewLease()
    await host.pass(160)
    assert.equal(host.report()?.phase, 'stopped')
    assert.equal(host.living(), undefined)
  })

  test('is killed by a pill, forgotten, and never starts again by itself', async () => {
    const host = await startLeased()
    host.licences.pillRead(sharedId, host.clock.bootTimeMs())
    await host.pass(80)
    assert.equal(host.living(), undefined)
    await host.pass(defaultTimings.drainMs)
    assert.equal(host.report()?.phase, 'stopped')
    assert.equal(host.records.size, 0)
    assert.equal(host.isGuarded(), false)
    await host.clock.advance(10)
    host.renewLease()
    await host.pass(10_000)
    assert.equal(host.living(), undefined)
  })

  test('that a pill could not kill stays guarded, and is killed as soon as that is possible', async () => {
    const host = await startLeased()
    const machine = host.living()
    assert.ok(machine)
    machine.isUnkillable = true
    host.licences.pillRead(sharedId, host.clock.bootTimeMs())
    await host.pass(reapWithinMs)
    assert.equal(host.isGuarded(), true)
    assert.equal(host.records.size, 1)
    machine.isUnkillable = false
    await host.pass(reapWithinMs)
    assert.equal(host.living(), undefined)
    assert.equal(host.isGuarded(), false)
    assert.equal(host.records.size, 0)
  })

  test('that dies while there is no licence waits for one, under a pill as well', async () => {
    const host = await startFrozen()
    await host.crash()
    assert.equal(host.report()?.phase, 'restarting')
    host.licences.pillRead(sharedId, host.clock.bootTimeMs())
    await host.pass(5_000)
    assert.equal(host.living(), undefined)
    await host.clock.advance(10)
    host.renewLease()
    await host.pass(200)
    assert.equal(host.living()?.state, 'running')
    assert.equal(host.living()?.definition.life.epoch, 1)
  })

  test('is not started by order without a licence, and such a start is not repeated by itself', async () => {
    const host = await createMachineHost()
    await host.clock.advance(defaultTimings.leaseMs)
    await host.start(1)
    assert.equal(host.report()?.phase, 'failed')
    host.renewLease()
    await host.pass(1_000)
    assert.equal(host.living(), undefined)
  })

  test('whose licence ended while it waited for its confirmation does not run', async () => {
    const host = await createMachineHost()
    host.answerToStarts = undefined
    await host.start(1)
    await host.clock.advance(defaultTimings.leaseMs)
    host.answerToStarts = true
    await host.clock.advance(50)
    assert.equal(host.living(), undefined)
    assert.equal(host.history.includes('phase running'), false)
  })
})

test('a machine that no lease may kill runs on without a licence, through a pill as well', async () => {
  const host = await createMachineHost()
  await host.start(1, { leased: false })
  host.licences.pillRead(sharedId, host.clock.bootTimeMs())
  await host.pass(30_000)
  assert.equal(host.living()?.state, 'running')
  assert.equal(host.isGuarded(), false)
})
