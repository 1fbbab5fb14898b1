import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createMachineHost, type MachineHost, webId } from './machine-host.fixture.ts'

async function startWithError(leased: boolean): Promise<MachineHost> {
  const host = await createMachineHost()
  await host.start(1, { leased })
  storageFails(host)
  await host.clock.settle()
  return host
}

function storageFails(host: MachineHost): void {
  const machine = host.living()
  assert.ok(machine)
  host.world.setState(machine.definition.runDirectory, 'io-error')
}

for (const leased of [true, false]) {
  describe(`a ${leased ? 'leased' : 'plain'} machine whose storage refuses what it asks for`, () => {
    test('is told to stand still, is tried again after a second, and goes on where it was', async () => {
      const host = await startWithError(leased)
      assert.equal(host.report()?.phase, 'frozen')
      assert.match(host.report()?.detail ?? '', /its storage refused/)
      const pid = host.living()?.pid
      await host.pass(800)
      assert.equal(host.report()?.phase, 'frozen')
      await host.pass(400)
      assert.deepEqual([host.report()?.phase, host.living()?.state, host.living()?.pid], ['running', 'running', pid])
    })

    test('stands still again as long as it is refused', async () => {
      const host = await startWithError(leased)
      await host.pass(1_200)
      storageFails(host)
      await host.clock.settle()
      assert.equal(host.report()?.phase, 'frozen')
      host.renewLease()
      await host.pass(1_200)
      assert.equal(host.report()?.phase, 'running')
    })

    test('is found by the next agent, and goes on', async () => {
      const host = await startWithError(leased)
      const machine = host.living()
      assert.ok(machine)
      machine.state = 'io-error'
      await host.restartAgent()
      host.renewLease()
      await host.pass(100)
      assert.equal(host.report()?.phase, 'frozen')
      await host.pass(1_200)
      assert.equal(host.report()?.phase, 'running')
    })
  })
}

test('a leased one needs no licence while it stands still, and does not go on without one', async () => {
  const host = await startWithError(true)
  assert.equal(host.watchdog?.machines.find(({ vmId }) => vmId === webId)?.isFrozen, true)
  await host.pass(5_000)
  assert.equal(host.report()?.phase, 'frozen')
  host.renewLease()
  await host.pass(100)
  assert.equal(host.report()?.phase, 'running')
})
