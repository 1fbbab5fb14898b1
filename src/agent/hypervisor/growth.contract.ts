/** What every hypervisor promises of machines that grow while they run. What needs a guest that agrees is in `e2e/hot-add.test.ts`. */
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { type HypervisorFixture, isDialtoneError, patienceMs, testWith } from './hypervisor.contract.ts'

const growth = { maximumCpus: 3, maximumMemoryMiB: 512 }

export function growthContract(name: string, makeFixture: () => Promise<HypervisorFixture>): void {
  const withFixture = testWith(makeFixture)

  describe(`${name}: a machine with room to grow`, { concurrency: false }, () => {
    withFixture('gets processors while it runs, up to as many as it has room for', async (fixture) => {
      const definition = { ...(await fixture.definition()), cpus: 1, growth }
      const machine = await fixture.hypervisor.start(definition)
      await machine.resume()
      const before = await machine.hardware()
      assert.deepEqual([before.cpus, before.maximumCpus], [1, 3])
      assert.equal(before.bootMemoryMiB, definition.memoryMiB)
      assert.ok(before.roomMiB > 0 && before.roomMiB <= 512 - definition.memoryMiB)
      assert.equal(await machine.setCpus(2, patienceMs), 2)
      assert.equal(await machine.setCpus(2, patienceMs), 2)
      assert.equal((await machine.hardware()).cpus, 2)
      await assert.rejects(machine.setCpus(4, patienceMs), isDialtoneError('wrong-state'))
      assert.equal(await machine.state(), 'running')
      await machine.kill(patienceMs)
    })

    withFixture('has its disks made larger, never smaller, and limited', async (fixture) => {
      const machine = await fixture.hypervisor.start({ ...(await fixture.definition()), growth })
      await machine.resume()
      const [disk] = (await machine.hardware()).disks
      assert.ok(disk)
      await machine.resizeDisk(disk.volumeId, disk.sizeMiB + 8)
      await machine.resizeDisk(disk.volumeId, disk.sizeMiB + 4)
      assert.equal((await machine.hardware()).disks[0]?.sizeMiB, disk.sizeMiB + 8)
      await assert.rejects(machine.resizeDisk('vol-absent22', 64), isDialtoneError('not-found'))
      await machine.limitDisks({ diskIops: 100, diskMiBPerSecond: 4 })
      await machine.limitDisks({ diskIops: null, diskMiBPerSecond: null })
      await machine.kill(patienceMs)
    })

    withFixture(
      'is of another shape with other processors, and its plugged disks keep their ports',
      async (fixture) => {
        const definition = { ...(await fixture.definition()), growth }
        const { hypervisor } = fixture
        assert.notEqual(
          hypervisor.shapeOf(definition),
          hypervisor.shapeOf({ ...definition, cpus: definition.cpus + 1 }),
        )
        assert.notEqual(hypervisor.shapeOf(definition), hypervisor.shapeOf({ ...definition, growth: null }))
        const machine = await hypervisor.start(definition)
        const ids = ['vol-aaaa2345', 'vol-bbbb2345']
        for (const volumeId of ids) {
          const path = await fixture.emptyDisk()
          await machine.attachDisk({ volumeId, path, format: 'qcow2' })
        }
        const { volumeIds, ports, hasMemory } = await machine.plugged()
        assert.deepEqual([volumeIds, ports, hasMemory], [ids, [0, 1], false])
        await machine.kill(patienceMs)
      },
    )
  })

  describe(`${name}: a machine without`, { concurrency: false }, () => {
    withFixture('stays as large as it began, and says so', async (fixture) => {
      const machine = await fixture.hypervisor.start(await fixture.definition())
      await machine.resume()
      const { cpus, memoryMiB } = await machine.hardware()
      await assert.rejects(machine.setCpus(cpus + 1, patienceMs), isDialtoneError('wrong-state'))
      assert.equal(await machine.setMemory(memoryMiB + 64, patienceMs), memoryMiB)
      await machine.kill(patienceMs)
    })
  })
}
