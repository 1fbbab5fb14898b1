/** What every hypervisor promises of a machine that is sent to another process while it runs; called beside `hypervisorContract`. */
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { joinStreams } from '../../transport/join-streams.ts'
import { type HypervisorFixture, isDialtoneError, patienceMs, testWith, within } from './hypervisor.contract.ts'
import type { MachineDefinition } from './hypervisor.ts'
import { type } from './memory-image.contract.ts'

const options = { pauseLimitMs: 100, isLive: true } as const

export function movingMachineContract(name: string, makeFixture: () => Promise<HypervisorFixture>): void {
  const withFixture = testWith(makeFixture)

  describe(`${name}: a machine that moves`, { concurrency: false }, () => {
    for (const isLive of [true, false]) {
      withFixture(`goes on where it was, with its memory, ${isLive ? 'live' : 'standing still'}`, async (fixture) => {
        const { source, definition } = await startTyping(fixture)
        const { incoming } = await openDestination(fixture, definition)
        const outgoing = await source.send({ ...options, isLive })
        joinStreams(outgoing.stream, incoming.stream)
        await within(outgoing.stopped)
        assert.equal(await source.state(), 'paused')
        assert.notEqual(outgoing.stoppedAtMs(), undefined)
        await outgoing.finish()
        await within(incoming.loaded)
        assert.equal((await outgoing.progress()).remainingBytes, 0)
        assert.deepEqual([await source.state(), await incoming.machine.state()], ['paused', 'paused'])
        await source.kill(patienceMs)
        await incoming.machine.resume()
        assert.ok((await within(incoming.resumedAtMs)) >= 0)
        assert.equal(await type(incoming.machine, '?'), 'x')
        await incoming.machine.kill(patienceMs)
      })
    }

    withFixture('is adopted at its destination by the next agent', async (fixture) => {
      const { source, definition } = await startTyping(fixture)
      const { incoming, shape } = await openDestination(fixture, definition)
      const outgoing = await source.send(options)
      joinStreams(outgoing.stream, incoming.stream)
      await within(outgoing.stopped)
      await outgoing.finish()
      await source.kill(patienceMs)
      await incoming.machine.resume()
      incoming.machine.detach()
      const adopted = await fixture.nextAgent().adopt(shape.runDirectory, shape.cgroupDirectory)
      assert.deepEqual([adopted?.pid, await adopted?.state()], [incoming.machine.pid, 'running'])
      await adopted?.kill(patienceMs)
    })

    withFixture('runs on at its source when its destination dies before it has all', async (fixture) => {
      const { source, definition } = await startTyping(fixture)
      const { incoming } = await openDestination(fixture, definition)
      const outgoing = await source.send(options)
      joinStreams(outgoing.stream, incoming.stream)
      await within(outgoing.stopped)
      fixture.killFromOutside(incoming.machine)
      await assert.rejects(outgoing.finish(), isDialtoneError('hypervisor-failed'))
      await source.resume()
      assert.equal(await type(source, '?'), 'x')
      await source.kill(patienceMs)
    })

    withFixture('runs on at its source when it is called off, and may move later', async (fixture) => {
      const { source, definition } = await startTyping(fixture)
      for (const end of ['cancel', 'finish'] as const) {
        const { incoming } = await openDestination(fixture, definition)
        const outgoing = await source.send(options)
        joinStreams(outgoing.stream, incoming.stream)
        await within(outgoing.stopped)
        await outgoing[end]()
        if (end === 'cancel') {
          await source.resume()
          assert.equal(await type(source, '?'), 'x')
        }
        await incoming.machine.kill(patienceMs)
      }
      // Even one that had all of it and is dead: the source goes on with what it has.
      await source.resume()
      assert.equal(await type(source, '?'), 'x')
      await source.kill(patienceMs)
    })
  })
}

async function startTyping(fixture: HypervisorFixture) {
  const definition = await fixture.definition()
  const source = await fixture.hypervisor.start(definition)
  await source.resume()
  assert.equal(await type(source, 'x'), 'x')
  return { source, definition }
}

async function openDestination(fixture: HypervisorFixture, definition: MachineDefinition) {
  const moved = await fixture.sibling(definition, definition.disks)
  // It is the same machine to its guest: what differs is the end of the card.
  const shape = { ...moved, generationId: definition.generationId, life: { ...definition.life, epoch: 2 } }
  return { incoming: await fixture.hypervisor.receive(shape, { plugged: [], copied: [] }), shape }
}
