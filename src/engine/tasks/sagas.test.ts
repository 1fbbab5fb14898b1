/** Every step of every saga fails, is repeated, is cancelled, and is cut by a crash: in the end there is the whole, or nothing of it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { sharedId, vmIdOf, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import type { Call } from '../fake-agents.fixture.ts'
import { arrange, letItEnd, mishaps } from '../mishaps.fixture.ts'
import { defineSaga, type RunnableSaga } from './saga.ts'

/** Whole: live, with its volumes and claims, running. Nothing: no key, no claim, no volume, no machine. */
async function wholeOrNothing(cloud: Cloud, name: string): Promise<'whole' | 'nothing'> {
  const vmId = vmIdOf(name)
  const vm = cloud.vm(vmId)
  const isHeld = [...cloud.agents.hosts.values()].some((host) => host.machines.has(vmId))
  if (vm === undefined) {
    assert.deepEqual(await cloud.leftovers(), [])
    assert.equal(isHeld, false, 'a machine of it is left on a host')
    return 'nothing'
  }
  assert.equal(vm.spec.lifecycle, 'live', `it is left ${vm.spec.lifecycle}`)
  assert.deepEqual([...cloud.agents.volumes].sort(), vm.spec.disks.map((disk) => disk.volumeId).sort())
  return 'whole'
}

const twoDisks = (name: string) => ({
  spec: {
    disks: [1, 2].map((number) => ({
      volumeId: volumeIdOf(`${name}${number}`),
      storageId: sharedId,
      format: 'qcow2' as const,
      sizeMiB: 10,
    })),
  },
})

describe('vm.create', () => {
  const moments: readonly { readonly call: Call; readonly nth: number }[] = [
    { call: 'createVolume', nth: 1 },
    { call: 'createVolume', nth: 2 },
    { call: 'startMachine', nth: 1 },
  ]
  for (const mishap of mishaps) {
    for (const moment of moments) {
      test(`whose ${moment.call} number ${moment.nth} ${mishap} ends in the whole VM or nothing of it`, async () => {
        await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
        arrange(cloud, mishap, moment)
        await cloud.create('web', twoDisks('web'))
        await letItEnd(cloud)
        const outcome = await wholeOrNothing(cloud, 'web')
        if (mishap.startsWith('crashes')) assert.equal(outcome, 'whole')
        if (outcome === 'whole') assert.equal(cloud.agents.runningOn(vmIdOf('web')).length, 1)
        assert.deepEqual(cloud.agents.twoWriters, [])
      })
    }
  }

  test('that is cancelled while a disk is being made leaves nothing', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    const { taskId } = await cloud.create('web', twoDisks('web'))
    void cloud.engine().tasks.cancel(taskId)
    await letItEnd(cloud)
    assert.equal(cloud.taskState(taskId), 'cancelled')
    assert.equal(await wholeOrNothing(cloud, 'web'), 'nothing')
  })

  test('that is cancelled while its host is slow to make a disk leaves nothing', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    cloud.agents.takesMs.set('createVolume', 200)
    const { taskId } = await cloud.create('web', twoDisks('web'))
    await cloud.clock.advance(50)
    void cloud.engine().tasks.cancel(taskId)
    await letItEnd(cloud)
    assert.equal(await wholeOrNothing(cloud, 'web'), 'nothing')
  })

  test('that is cancelled and cut by a crash is undone by the next controller', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    arrange(cloud, 'crashes after', { call: 'deleteVolume', nth: 1 })
    const { taskId } = await cloud.create('web', twoDisks('web'))
    void cloud.engine().tasks.cancel(taskId)
    await letItEnd(cloud)
    assert.equal(cloud.taskState(taskId), 'cancelled')
    assert.equal(await wholeOrNothing(cloud, 'web'), 'nothing')
  })

  test('whose disk cannot be made says why, and undoing is tried again while the storage fails', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    let deletions = 0
    cloud.agents.intercept = (call, moment) => {
      if (moment === 'after') return
      if (call === 'createVolume') throw new DialtoneError('storage-failed', 'the disk is full')
      if (call === 'deleteVolume' && (deletions += 1) < 3) throw new DialtoneError('storage-failed', 'not yet')
    }
    const { taskId } = await cloud.create('web')
    await letItEnd(cloud)
    assert.equal(cloud.state().tasks.get(taskId)?.error?.message, 'the disk is full')
    assert.equal(await wholeOrNothing(cloud, 'web'), 'nothing')
  })

  test('is undone also when the storage fails for a minute', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    const isBackAtMs = cloud.clock.bootTimeMs() + 60_000
    cloud.agents.intercept = (call, moment) => {
      if (moment === 'after' || (call !== 'createVolume' && call !== 'deleteVolume')) return
      if (cloud.clock.bootTimeMs() < isBackAtMs) throw new DialtoneError('storage-failed', 'it is gone')
    }
    const { taskId } = await cloud.create('web')
    await cloud.clock.until('it has ended', () => cloud.taskState(taskId) === 'failed', 180_000)
    assert.equal(await wholeOrNothing(cloud, 'web'), 'nothing')
  })

  test('is not left half made when somebody changes the VM at the very moment it goes live', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    const { commit } = cloud.store
    let conflicts = 0
    cloud.store.commit = async (transaction) => {
      const goesLive = transaction.writes.some(
        (write) => write.kind === 'put' && write.value.includes('"lifecycle":"live"'),
      )
      if (!goesLive || conflicts > 0) return commit(transaction)
      conflicts += 1
      return { kind: 'conflict', conflicts: [] }
    }
    await cloud.create('web')
    await letItEnd(cloud)
    assert.equal(conflicts, 1)
    await wholeOrNothing(cloud, 'web')
  })
})

describe('vm.delete', () => {
  const moments: readonly { readonly call: Call; readonly nth: number }[] = [
    { call: 'releaseMachine', nth: 1 },
    { call: 'deleteVolume', nth: 1 },
    { call: 'deleteVolume', nth: 2 },
  ]
  for (const mishap of mishaps) {
    for (const moment of moments) {
      test(`whose ${moment.call} number ${moment.nth} ${mishap} ends with nothing left`, async () => {
        await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
        const vmId = await cloud.createRunning('web', twoDisks('web'))
        arrange(cloud, mishap, moment)
        await cloud.delete(vmId)
        await letItEnd(cloud)
        assert.equal(await wholeOrNothing(cloud, 'web'), 'nothing')
      })
    }
  }

  test('of a machine on a silent host waits for a proof; without one the VM stays whole', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    const vmId = await cloud.createRunning('plain', { spec: { ha: false } })
    const [home = ''] = cloud.agents.runningOn(vmId)
    cloud.agents.host(home).isCut = true
    await cloud.delete(vmId)
    await letItEnd(cloud)
    assert.equal(await wholeOrNothing(cloud, 'plain'), 'whole')
    assert.deepEqual(cloud.agents.runningOn(vmId), [home])
  })

  test('deletes no disk under a machine that a proof by lease does not reach', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    const plain = await cloud.createRunning('plain', { spec: { ha: false } })
    const [home = ''] = cloud.agents.runningOn(plain)
    await cloud.createRunning('web')
    await cloud.createRunning('app')
    cloud.agents.host(home).isCut = true
    await cloud.clock.until('a fencing begins', () => cloud.host(home).status.fencing !== null)
    await cloud.delete(plain)
    cloud.agents.host(home).isCut = false
    await cloud.clock.until('a disk is deleted', () => cloud.agents.orders.some((o) => o.startsWith('deleteVolume')))
    assert.deepEqual(cloud.agents.runningOn(plain), [])
  })
})

describe('vm.warm', () => {
  const imageOf = (cloud: Cloud) =>
    [...cloud.agents.hosts.values()].flatMap(({ machines }) => machines.get(vmIdOf('web'))?.image ?? [])[0]

  for (const mishap of mishaps) {
    test(`whose capture ${mishap} leaves the machine running and an image that is whole`, async () => {
      await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
      const vmId = await cloud.createRunning('web', { spec: { recovery: { mode: 'warm' } } })
      await cloud.begin('vm.warm', { vmId })
      await letItEnd(cloud)
      const before = imageOf(cloud)
      assert.ok(before)
      arrange(cloud, mishap, { call: 'captureMachine', nth: 1 })
      const taskId = await cloud.begin('vm.warm', { vmId })
      await letItEnd(cloud)
      assert.equal(cloud.taskState(taskId), mishap.startsWith('crashes') ? 'succeeded' : 'failed')
      assert.equal(imageOf(cloud)?.imageId === before.imageId, mishap === 'fails once')
      assert.deepEqual([cloud.vm(vmId)?.placement?.epoch, cloud.agents.runningOn(vmId).length], [1, 1])
    })
  }

  test('of a machine that is on no host says so', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    const taskId = await cloud.begin('vm.warm', { vmId: vmIdOf('gone') })
    await letItEnd(cloud)
    assert.equal(cloud.state().tasks.get(taskId)?.error?.code, 'wrong-state')
  })
})

describe('the runner', () => {
  const steps = ['first', 'second', 'third'] as const

  /** Each step adds its name to the world and its undo takes it away; `act` may throw before or after. */
  const build = (world: Set<string>, act: (step: string, moment: 'before' | 'after') => void): RunnableSaga =>
    defineSaga<{ made: string[] }>({
      kind: 'test.build',
      journalSchema: z.object({ made: z.array(z.string()) }),
      pointOfNoReturn: 'none',
      steps: steps.map((name) => ({
        name,
        message: `makes the ${name}`,
        timeoutMs: 1_000,
        run: async ({ journal }) => {
          act(name, 'before')
          world.add(name)
          act(name, 'after')
          return { made: [...journal.made, name] }
        },
        undo: async () => void world.delete(name),
      })),
    })

  const start = async (act: (cloud: () => Cloud, step: string, moment: 'before' | 'after') => void) => {
    const world = new Set<string>()
    const started: { cloud?: Cloud } = {}
    const get = () => {
      if (started.cloud === undefined) throw new Error('not yet')
      return started.cloud
    }
    const cloud = await startCloud({
      hosts: [{ name: 'ada' }],
      moreSagas: () => [build(world, (step, moment) => act(get, step, moment))],
    })
    started.cloud = cloud
    const taskId = await cloud.begin('test.build', { made: [] })
    return { cloud, world, taskId }
  }

  for (const step of steps) {
    for (const moment of ['before', 'after'] as const) {
      test(`undoes everything when the ${step} step fails ${moment} its effect`, async () => {
        const { cloud, world, taskId } = await start((_cloud, at, when) => {
          if (at === step && when === moment) throw new DialtoneError('storage-failed', 'no')
        })
        await letItEnd(cloud)
        assert.equal(cloud.taskState(taskId), 'failed')
        assert.deepEqual([...world], [])
        await cloud[Symbol.asyncDispose]()
      })

      test(`goes on from the ${step} step when the controller crashes ${moment} its effect`, async () => {
        let crashes = 0
        const { cloud, world, taskId } = await start((get, at, when) => {
          if (at !== step || when !== moment || crashes > 0) return
          crashes += 1
          get().crash()
        })
        await letItEnd(cloud)
        assert.equal(crashes, 1)
        assert.equal(cloud.taskState(taskId), 'succeeded')
        assert.deepEqual([...world], [...steps])
        assert.deepEqual(cloud.state().tasks.get(taskId)?.journal, { made: [...steps] })
        await cloud[Symbol.asyncDispose]()
      })
    }
  }
})
