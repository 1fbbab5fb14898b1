import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { snapshotIdSchema, type VmId } from '../../model/ids.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import { arrange, letItEnd, mishaps } from '../mishaps.fixture.ts'
import type { BeginChangeJournal } from './change-sagas.ts'

const id = snapshotIdSchema.parse('snap-aaaaaaaa')
const probe = {
  check: { kind: 'http', port: 80, path: '/', status: 200 },
  ...{ everyMs: 250, maxLatencyMs: 1_000, failuresAllowed: 4 },
} as const

async function begin(
  cloud: Cloud,
  changes: Partial<BeginChangeJournal> = {},
  prepare: () => void = () => undefined,
): Promise<VmId> {
  const vmId = await cloud.createRunning('web', { spec: { probe } })
  prepare()
  const wish = { id, name: 'change-a', note: '', kind: 'memory', freeze: 'if-able', origin: 'change' } as const
  const journal: BeginChangeJournal = {
    ...{ vmId, wish: { ...wish, setId: null, isProtected: false }, checks: [], watchedForMs: 60_000, isAuto: true },
    ...changes,
  }
  await cloud.begin('vm.change-begin', journal)
  await cloud.clock.advance(2_000)
  return vmId
}

function serve(cloud: Cloud, vmId: VmId, service: 'correct' | 'wrong'): void {
  for (const { machines } of cloud.agents.hosts.values()) {
    const machine = machines.get(vmId)
    if (machine !== undefined) machine.service = service
  }
}

const revertsOf = (cloud: Cloud) => cloud.agents.orders.filter((order) => order.startsWith('revertMachine')).length

describe('a change', () => {
  test('that makes the service worse is taken back by itself, and nothing of it is left', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    const vmId = await begin(cloud)
    assert.ok(cloud.vm(vmId)?.change)
    serve(cloud, vmId, 'wrong')
    await cloud.clock.until('it went back', () => revertsOf(cloud) > 0, 20_000)
    serve(cloud, vmId, 'correct')
    await cloud.clock.until('it is over', () => cloud.vm(vmId)?.change === undefined, 20_000)
    await cloud.clock.advance(5_000)
    assert.equal(cloud.state().snapshots.size, 0)
    const events = await cloud.events()
    for (const kind of ['change-begun', 'change-worse', 'reverted', 'change-reverted'])
      assert.ok(events.includes(`vm.${kind} web`), `${kind} is not told`)
    assert.equal(revertsOf(cloud), 1)
  })

  test('whose owner wants to be asked is only told, and waits', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    const vmId = await begin(cloud, { isAuto: false })
    serve(cloud, vmId, 'wrong')
    await cloud.clock.advance(120_000)
    assert.match(cloud.vm(vmId)?.change?.worse?.reason ?? '', /not answered correctly/)
    assert.equal(revertsOf(cloud), 0)
    const vm = cloud.vm(vmId)
    assert.ok(vm?.change)
    await cloud.engine().changes.revert(vm, vm.change, 'test')
    serve(cloud, vmId, 'correct')
    await cloud.clock.until('it is over', () => cloud.vm(vmId)?.change === undefined, 20_000)
  })

  test('that fails a check twice in a row goes back; a check that fails beforehand begins nothing', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    const vmId = await begin(cloud, { checks: ['test -e /ok'] })
    cloud.agents.layers.runs = () => ({ exitCode: 1, output: '' })
    await cloud.clock.until('it went back', () => revertsOf(cloud) > 0, 20_000)
    await cloud.clock.until('it is over', () => cloud.vm(vmId)?.change === undefined, 20_000)

    await using other = await startCloud({ hosts: [{ name: 'ada' }] })
    other.agents.layers.runs = () => ({ exitCode: 1, output: '' })
    const failing = await begin(other, { checks: ['test -e /ok'] })
    assert.equal(other.vm(failing)?.change, undefined)
    assert.equal(other.state().snapshots.size, 0)
  })

  test('that does well is committed by its owner, with a report, and its snapshot goes', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    const vmId = await begin(cloud)
    await cloud.clock.advance(120_000)
    const vm = cloud.vm(vmId)
    assert.ok(vm?.change)
    assert.equal(vm.change.worse, null)
    const taskId = await cloud.engine().changes.end(vm, vm.change, { outcome: 'committed', user: 'test' })
    await cloud.clock.until('it is over', () => cloud.taskState(taskId) === 'succeeded', 20_000)
    assert.match(cloud.state().tasks.get(taskId)?.message ?? '', /committed: it serves, as before/)
    assert.deepEqual([cloud.state().snapshots.size, cloud.vm(vmId)?.change], [0, undefined])
  })

  test('is watched on by the next controller when this one crashes', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    const vmId = await begin(cloud)
    serve(cloud, vmId, 'wrong')
    await cloud.clock.advance(1_000)
    cloud.crash()
    await cloud.startEngine()
    await cloud.clock.until('it went back', () => revertsOf(cloud) > 0, 60_000)
    assert.equal(revertsOf(cloud), 1)
  })

  for (const mishap of mishaps) {
    for (const call of ['runInGuest', 'snapshotMachine', 'measureMachine'] as const) {
      test(`whose beginning meets a ${call} that ${mishap} is begun with its snapshot, or leaves none`, async () => {
        await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
        const vmId = await begin(cloud, { checks: ['test -e /ok'] }, () => arrange(cloud, mishap, { call }))
        await letItEnd(cloud)
        const isOpen = cloud.vm(vmId)?.change !== undefined
        const state = [...cloud.state().tasks.values()].find(({ kind }) => kind === 'vm.change-begin')?.state
        assert.equal(isOpen, state === 'succeeded')
        if (mishap.startsWith('crashes')) assert.ok(isOpen)
        assert.deepEqual([cloud.state().snapshots.size, cloud.agents.layers.snapshots.size], isOpen ? [1, 1] : [0, 0])
        assert.equal(cloud.vm(vmId)?.operation, undefined)
      })
    }

    for (const call of ['removeSnapshot', 'tidyMachine', 'measureMachine'] as const) {
      test(`whose end meets a ${call} that ${mishap} is over, and its snapshot is gone`, async () => {
        await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
        const vmId = await begin(cloud)
        const vm = cloud.vm(vmId)
        assert.ok(vm?.change)
        arrange(cloud, mishap, { call })
        await cloud.engine().changes.end(vm, vm.change, { outcome: 'committed', user: 'test' })
        await letItEnd(cloud)
        assert.equal(cloud.vm(vmId)?.change, undefined)
        assert.deepEqual([cloud.state().snapshots.size, cloud.agents.layers.snapshots.size], [0, 0])
      })
    }

    test(`whose return ${mishap} goes back all the same, or tells that it could not`, async () => {
      await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
      const vmId = await begin(cloud)
      arrange(cloud, mishap, { call: 'revertMachine' })
      serve(cloud, vmId, 'wrong')
      await cloud.clock.until('it was tried', () => typeof cloud.vm(vmId)?.change?.revertTaskId === 'string', 20_000)
      serve(cloud, vmId, 'correct')
      await letItEnd(cloud)
      const task = [...cloud.state().tasks.values()].find(({ kind }) => kind === 'vm.revert')
      assert.equal(cloud.vm(vmId)?.change === undefined, task?.state === 'succeeded')
      if (mishap.startsWith('crashes')) assert.equal(task?.state, 'succeeded')
    })
  }
})
