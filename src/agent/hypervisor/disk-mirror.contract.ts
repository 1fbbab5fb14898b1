/** What every hypervisor promises of a disk that is copied while its machine runs; called beside `hypervisorContract`. */
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { joinStreams } from '../../transport/join-streams.ts'
import type { MirrorRequest } from './disk-mirror.ts'
import { type HypervisorFixture, isDialtoneError, patienceMs, testWith, within } from './hypervisor.contract.ts'
import type { MachineDefinition } from './hypervisor.ts'
import { type } from './memory-image.contract.ts'

const options = { pauseLimitMs: 100, isLive: true } as const

export function diskMirrorContract(name: string, makeFixture: () => Promise<HypervisorFixture>): void {
  const withFixture = testWith(makeFixture)

  describe(`${name}: a disk that is copied`, { concurrency: false }, () => {
    withFixture(
      'is the machine’s disk in its new file from the moment of the switch, with all that was on it',
      async (fixture) => {
        const { machine, disk } = await startOnFullDisk(fixture)
        const request = await toFile(fixture, disk)
        const mirror = await machine.mirrorDisk(request)
        await within(mirror.ready)
        const { copiedBytes, totalBytes } = await mirror.progress()
        assert.ok(copiedBytes > 0 && copiedBytes === totalBytes)
        await machine.pause()
        await mirror.switchOver()
        await mirror.switchOver()
        assert.equal((await machine.diskPaths()).get(disk.volumeId), request.target.disk.path)
        await machine.resume()
        assert.equal(await type(machine, 'y'), 'y')
        await machine.kill(patienceMs)
        assert.equal(await fixture.isSameDisk(disk.path, request.target.disk.path), true)
      },
    )

    withFixture('stays where it is when that is called off, and may be copied later', async (fixture) => {
      const { machine, disk } = await startOnFullDisk(fixture)
      const request = await toFile(fixture, disk)
      const calledOff = await machine.mirrorDisk(request)
      await calledOff.cancel()
      await calledOff.cancel()
      await assert.rejects(calledOff.progress(), isDialtoneError('hypervisor-failed'))
      assert.equal((await machine.diskPaths()).get(disk.volumeId), disk.path)
      const mirror = await machine.mirrorDisk(await toFile(fixture, disk))
      await within(mirror.ready)
      await machine.pause()
      await mirror.switchOver()
      assert.notEqual((await machine.diskPaths()).get(disk.volumeId), disk.path)
      await machine.kill(patienceMs)
    })

    withFixture('is followed by the next agent, which switches it', async (fixture) => {
      const { machine, disk, definition } = await startOnFullDisk(fixture)
      const request = await toFile(fixture, disk)
      await within((await machine.mirrorDisk(request)).ready)
      machine.detach()
      const adopted = await fixture.nextAgent().adopt(definition.runDirectory, definition.cgroupDirectory)
      assert.ok(adopted)
      const mirror = await adopted.mirrorDisk(request)
      await within(mirror.ready)
      await adopted.pause()
      await mirror.switchOver()
      await adopted.kill(patienceMs)
      assert.equal(await fixture.isSameDisk(disk.path, request.target.disk.path), true)
    })

    withFixture('goes with its machine to another process', async (fixture) => {
      const { machine, disk, definition } = await startOnFullDisk(fixture)
      const { incoming, copy } = await openDestination(fixture, definition)
      const stream = await incoming.diskStream(disk.volumeId)
      const target = { kind: 'stream', stream } as const
      const mirror = await machine.mirrorDisk({ volumeId: disk.volumeId, target, scope: 'whole' })
      await within(mirror.ready)
      const outgoing = await machine.send(options)
      joinStreams(outgoing.stream, incoming.stream)
      await within(outgoing.stopped)
      await mirror.finish()
      await outgoing.finish()
      await within(incoming.loaded)
      await machine.kill(patienceMs)
      await incoming.machine.resume()
      assert.equal(await type(incoming.machine, 'z'), 'z')
      await incoming.machine.kill(patienceMs)
      assert.equal(await fixture.isSameDisk(disk.path, copy), true)
    })

    withFixture(
      'is its machine’s alone again when the other process dies, and the machine runs on',
      async (fixture) => {
        const { machine, disk, definition } = await startOnFullDisk(fixture)
        const { incoming } = await openDestination(fixture, definition)
        const target = { kind: 'stream', stream: await incoming.diskStream(disk.volumeId) } as const
        const mirror = await machine.mirrorDisk({ volumeId: disk.volumeId, target, scope: 'whole' })
        await within(mirror.ready)
        fixture.killFromOutside(incoming.machine)
        await within(incoming.machine.exited)
        await machine.pause()
        await assert.rejects(mirror.finish(), isDialtoneError('hypervisor-failed'))
        await mirror.cancel()
        await machine.resume()
        assert.equal(await type(machine, 'y'), 'y')
        const request = await toFile(fixture, disk)
        await within((await machine.mirrorDisk(request)).ready)
        await machine.kill(patienceMs)
      },
    )
  })
}

async function startOnFullDisk(fixture: HypervisorFixture) {
  const definition = await fixture.definition()
  const [disk] = definition.disks
  assert.ok(disk)
  await fixture.fillDisk(disk.path)
  const machine = await fixture.hypervisor.start(definition)
  await machine.resume()
  assert.equal(await type(machine, 'x'), 'x')
  return { machine, disk, definition }
}

async function toFile(fixture: HypervisorFixture, disk: MachineDefinition['disks'][number]) {
  const target = { kind: 'file', disk: { ...disk, path: await fixture.emptyDisk() } } as const
  return { volumeId: disk.volumeId, target, scope: 'whole' } as const satisfies MirrorRequest
}

async function openDestination(fixture: HypervisorFixture, definition: MachineDefinition) {
  const copy = await fixture.emptyDisk()
  const disks = definition.disks.map((disk) => ({ ...disk, path: copy }))
  const moved = await fixture.sibling(definition, disks)
  const shape = { ...moved, generationId: definition.generationId, life: { ...definition.life, epoch: 2 } }
  const copied = disks.map(({ volumeId }) => volumeId)
  return { incoming: await fixture.hypervisor.receive(shape, { plugged: [], copied }), copy }
}
