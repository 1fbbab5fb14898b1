/** Machines that begin with another one's memory: under virtual time, against fake hosts. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assignNics, type NicWish } from '../../control/networks/assign-nics.ts'
import { type Cloud, startCloud } from '../../engine/cloud.fixture.ts'
import type { Call } from '../../engine/fake-agents.fixture.ts'
import { put } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import { makeVm, someTime, templateId } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { securityGroupIdSchema, type TaskId, type VmId } from '../../model/ids.ts'
import { makeNetwork } from '../../model/network.fixture.ts'
import { nicsOf } from '../../model/network.ts'
import { probeSchema } from '../../model/recovery/probe.ts'
import { cloneHandlers } from './clone-handlers.ts'
import { cloneVmSaga } from './clone-vm-saga.ts'
import { warmTemplateSaga } from './warm-template-saga.ts'

const probe = probeSchema.parse({ check: { kind: 'tcp', port: 80 } })
const open = () =>
  startCloud({
    hosts: [{ name: 'ada' }, { name: 'bob' }],
    moreSagas: (leader, tasks, agents) => [cloneVmSaga(leader, agents, tasks), warmTemplateSaga(leader, agents, tasks)],
  })
const scope = { signal: new AbortController().signal, after: undefined }
const caller = { name: 'ann', role: 'operator' } as const
const handlersOf = (cloud: Cloud) =>
  cloneHandlers({
    engine: cloud.engine(),
    agents: {
      ...cloud.agents.port,
      client: () => assert.fail('no agent is streamed from here'),
      close: async () => undefined,
    },
  })

function begin(cloud: Cloud, vmId: VmId, names: readonly string[]): Promise<TaskId> {
  const wish = { names, ha: true, recovery: { mode: 'boot' }, drillable: false }
  return cloud.begin('vm.clone', { vmId, wish, user: 'ann', origin: null })
}
const warm = (cloud: Cloud) =>
  cloud.begin('template.warm', { templateId, name: 'tiny-warm', user: 'ann', vmId: null, origin: null })
const ends = (cloud: Cloud, taskId: TaskId, withinMs?: number) =>
  cloud.clock.until('the task ends', () => !['running', 'undoing'].includes(cloud.taskState(taskId) ?? ''), withinMs)
const find = (cloud: Cloud, name: string) => [...cloud.state().vms.values()].find(({ spec }) => spec.name === name)
const namesOf = (cloud: Cloud) => [...cloud.state().vms.values()].map(({ spec }) => spec.name).sort()
const errorOf = (cloud: Cloud, taskId: TaskId) => cloud.state().tasks.get(taskId)?.error

const dev = makeNetwork('dev', 1)

/** A machine named web that runs, with these cards. */
async function createInNetwork(cloud: Cloud, wishes: readonly [NicWish, ...NicWish[]]): Promise<VmId> {
  await cloud.store.commit({ conditions: [], writes: [put(keys.virtualNetwork(dev.id), dev)] })
  const nics = assignNics({ ...cloud.state(), networks: new Map([[dev.id, dev]]) }, wishes)
  assert(!('kind' in nics))
  return cloud.createRunning('web', { spec: { probe, nics: [...nics], address: nics[0].address } })
}

/** Cuts the controller down at the nth call of this kind, once, and starts another a moment later. */
async function crashAt(cloud: Cloud, { call, nth }: { readonly call: Call; readonly nth: number }): Promise<void> {
  let calls = 0
  cloud.agents.intercept = (seen, moment) => {
    if (seen !== call || moment !== 'after') return
    calls += 1
    if (calls === nth) cloud.crash()
  }
  await cloud.clock.until('it crashes', () => cloud.engine().leader.signal.aborted)
  cloud.agents.intercept = () => undefined
  await cloud.clock.advance(300)
  await cloud.startEngine()
}

/** Starts of this machine fail, as often as it says. */
function failStarts(cloud: Cloud, name: string, times: number): string[] {
  const kinds: string[] = []
  const epochs = new Set<number>()
  let left = times
  cloud.agents.intercept = (call, moment, host) => {
    const vm = find(cloud, name)
    const machine = vm === undefined ? undefined : host.machines.get(vm.spec.id)
    if (call !== 'startMachine' || moment !== 'after' || machine?.phase !== 'starting') return
    if (epochs.has(machine.epoch)) return
    epochs.add(machine.epoch)
    kinds.push(machine.order.start)
    left -= 1
    if (left >= 0) machine.phase = 'failed'
  }
  return kinds
}

describe('clones of a running machine', () => {
  test('are machines of their own that begin with its memory; once they run they start like any other', async () => {
    await using cloud = await open()
    const vmId = await cloud.createRunning('web', { spec: { probe } })
    const starts = ['one', 'two', 'three']
    const kinds = failStarts(cloud, 'one', 0)
    const taskId = await begin(cloud, vmId, starts)
    await ends(cloud, taskId)
    assert.equal(cloud.taskState(taskId), 'succeeded')
    const specs = starts.map((name) => find(cloud, name)?.spec)
    for (const field of ['id', 'address', 'macAddress', 'number', 'generationId'] as const)
      assert.equal(new Set(specs.map((spec) => spec?.[field])).size, 3, `a ${field} is there twice`)
    assert.deepEqual(kinds, ['clone'])
    assert.deepEqual(
      specs.map((spec) => spec?.clonedFrom),
      [null, null, null],
    )
    assert.equal(cloud.agents.orders.filter((order) => order.startsWith('captureMachine')).length, 1)
  })

  test('are in the security groups of their origin: what was closed is not open in its copies', async () => {
    await using cloud = await open()
    const group = { id: securityGroupIdSchema.parse('sg-aaaaaaaa'), name: 'web', rules: [], createdAt: someTime }
    await cloud.store.commit({ conditions: [], writes: [put(keys.securityGroup(group.id), group)] })
    const vmId = await cloud.createRunning('web', { spec: { probe, securityGroupIds: [group.id] } })
    await ends(cloud, await begin(cloud, vmId, ['one']))
    const clone = find(cloud, 'one')
    assert.deepEqual(clone?.spec.securityGroupIds, [group.id])
    const home = [...cloud.agents.hosts.values()].find(({ machines }) => machines.has(clone.spec.id))
    assert.ok(home?.firewall.machines.some((machine) => machine.vmId === clone.spec.id))
  })

  test('have their card in the network of their origin, with an address of their own there', async () => {
    await using cloud = await open()
    const vmId = await createInNetwork(cloud, [{ network: 'dev' }])
    await ends(cloud, await begin(cloud, vmId, ['one']))
    const [nic, ...more] = nicsOf(find(cloud, 'one')?.spec ?? assert.fail('it was made'))
    assert.deepEqual([nic?.networkId, nic?.address, nic?.mtu, more], [dev.id, '10.5.0.3', 1450, []])
  })

  test('of a machine with several cards are refused before anything is captured', async () => {
    await using cloud = await open()
    await createInNetwork(cloud, [{ network: 'dev' }, { network: 'flat' }])
    const body = { count: 1, drillable: false }
    const asked = handlersOf(cloud).cloneVm({ params: { vm: 'web' }, query: undefined, body }, caller, scope)
    await assert.rejects(async () => asked, { code: 'image-unfit', message: /2 network cards.*dialtone nic remove/ })
    assert.equal(
      cloud.agents.orders.some((order) => order.startsWith('captureMachine')),
      false,
    )
  })

  test('of a machine that is being moved are refused at once, with what to do', async () => {
    await using cloud = await open()
    const vmId = await cloud.createRunning('web', { spec: { probe } })
    const body = { count: 1, drillable: false }
    await cloud.begin('vm.migrate', { vmId, wishedHostId: null, reason: 'test' })
    await cloud.clock.advance(20)
    await assert.rejects(
      async () => handlersOf(cloud).cloneVm({ params: { vm: 'web' }, query: undefined, body }, caller, scope),
      { code: 'in-use', message: /wait until it is there/ },
    )
  })

  test('are as many as were asked for, each once, when the controller crashes on the way', async () => {
    for (const moment of [
      { call: 'captureMachine', nth: 1 },
      { call: 'createVolume', nth: 2 },
      { call: 'startMachine', nth: 2 },
    ] as const) {
      await using cloud = await open()
      const vmId = await cloud.createRunning('web', { spec: { probe } })
      const taskId = await begin(cloud, vmId, ['one', 'two', 'three'])
      await crashAt(cloud, moment)
      await ends(cloud, taskId)
      assert.equal(cloud.taskState(taskId), 'succeeded', JSON.stringify([moment, errorOf(cloud, taskId)]))
      assert.deepEqual(namesOf(cloud), ['one', 'three', 'two', 'web'])
      for (const name of ['one', 'two', 'three']) assert.equal(find(cloud, name)?.status?.state, 'running')
    }
  })

  test('stay when one of them fails: the task waits for the others and says which', async () => {
    await using cloud = await open()
    const vmId = await cloud.createRunning('web', { spec: { probe } })
    failStarts(cloud, 'two', 1)
    const taskId = await begin(cloud, vmId, ['one', 'two', 'three'])
    await ends(cloud, taskId)
    assert.match(errorOf(cloud, taskId)?.message ?? '', /^two: /)
    for (const name of ['one', 'three']) assert.equal(find(cloud, name)?.status?.state, 'running')
  })

  test('stay when a later one can’t be entered, as when somebody has taken its name meanwhile', async () => {
    await using cloud = await open()
    const vmId = await cloud.createRunning('web', { spec: { probe } })
    cloud.agents.takesMs.set('captureMachine', 2_000)
    const taskId = await begin(cloud, vmId, ['one', 'two'])
    await cloud.createRunning('two')
    await ends(cloud, taskId)
    assert.equal(errorOf(cloud, taskId)?.code, 'name-taken')
    assert.equal(find(cloud, 'one')?.status?.state, 'running')
    assert.deepEqual(namesOf(cloud), ['one', 'two', 'web'])
  })

  test('begin with the memory however often that fails, and never boot; one that ran at last is not cloned again', async () => {
    await using cloud = await open()
    const vmId = await cloud.createRunning('web', { spec: { probe } })
    const kinds = failStarts(cloud, 'one', 4)
    const taskId = await begin(cloud, vmId, ['one'])
    await ends(cloud, taskId)
    assert.equal(cloud.taskState(taskId), 'failed')
    await cloud.clock.until('it runs', () => find(cloud, 'one')?.status?.state === 'running', 200_000)
    assert.deepEqual(kinds, ['clone', 'clone', 'clone', 'clone', 'clone'])
    assert.equal(find(cloud, 'one')?.spec.clonedFrom, null)
  })

  test('of a machine with further disks, or that is stopped, are refused with the reason', async () => {
    await using cloud = await open()
    const { spec } = makeVm('db', { spec: { probe } })
    const disks = [...spec.disks, ...makeVm('db2').spec.disks]
    const taskId = await begin(cloud, await cloud.createRunning('db', { spec: { probe, disks } }), ['one'])
    await ends(cloud, taskId)
    assert.equal(errorOf(cloud, taskId)?.code, 'image-unfit')
    const stopped = await begin(cloud, (await cloud.create('off', { spec: { desired: 'stopped' } })).vmId, ['one'])
    await ends(cloud, stopped)
    assert.equal(errorOf(cloud, stopped)?.code, 'wrong-state')
    assert.deepEqual(namesOf(cloud), ['db', 'off'])
  })
})

describe('names of clones', () => {
  const ask = async (
    cloud: Cloud,
    body: { readonly count: number; readonly name?: string; readonly names?: string[] },
  ) =>
    handlersOf(cloud).cloneVm(
      { params: { vm: 'web' }, query: undefined, body: { drillable: false, ...body } },
      caller,
      scope,
    )

  test('are the stem, or the stem with the next free numbers', async () => {
    await using cloud = await open()
    await cloud.createRunning('web', { spec: { probe } })
    await cloud.create('other', { spec: { name: 'web-clone-2' } })
    assert.deepEqual((await ask(cloud, { count: 1 })).names, ['web-clone'])
    assert.deepEqual((await ask(cloud, { count: 3 })).names, ['web-clone-1', 'web-clone-3', 'web-clone-4'])
    assert.deepEqual((await ask(cloud, { count: 1, names: ['x', 'y'] })).names, ['x', 'y'])
  })

  test('that are taken, or given twice, are refused before anything is captured', async () => {
    await using cloud = await open()
    await cloud.createRunning('web', { spec: { probe } })
    await assert.rejects(ask(cloud, { count: 1, names: ['x', 'web'] }), { code: 'name-taken' })
    await assert.rejects(ask(cloud, { count: 1, names: ['x', 'x'] }), { code: 'invalid-input' })
    assert.equal(
      cloud.agents.orders.some((order) => order.startsWith('captureMachine')),
      false,
    )
  })
})

describe('the warm image of a template', () => {
  const entered = (cloud: Cloud) => cloud.state().templates.get(templateId)?.warm

  test('is captured of a machine that is made for it and switched off with it', async () => {
    await using cloud = await open()
    const taskId = await warm(cloud)
    await ends(cloud, taskId)
    assert.equal(cloud.taskState(taskId), 'succeeded', JSON.stringify(errorOf(cloud, taskId)))
    assert.equal(entered(cloud)?.vmId, find(cloud, 'tiny-warm')?.spec.id)
    await cloud.clock.until('it is off', () => find(cloud, 'tiny-warm')?.status?.state === 'stopped')
  })

  test('is made by the same one machine when the controller crashes on the way', async () => {
    for (const moment of [
      { call: 'createVolume', nth: 1 },
      { call: 'startMachine', nth: 1 },
      { call: 'captureMachine', nth: 1 },
    ] as const) {
      await using cloud = await open()
      const taskId = await warm(cloud)
      await crashAt(cloud, moment)
      await ends(cloud, taskId)
      assert.equal(cloud.taskState(taskId), 'succeeded', JSON.stringify([moment, errorOf(cloud, taskId)]))
      assert.deepEqual(namesOf(cloud), ['tiny-warm'])
    }
  })

  test('that can’t be captured leaves neither a machine nor an image', async () => {
    await using cloud = await open()
    cloud.agents.intercept = (call) => {
      if (call === 'captureMachine') throw new DialtoneError('image-unfit', 'its guest has no agent')
    }
    const taskId = await warm(cloud)
    await ends(cloud, taskId)
    assert.equal(errorOf(cloud, taskId)?.message, 'its guest has no agent')
    await cloud.clock.until('its machine is gone', () => namesOf(cloud).length === 0)
    assert.equal(entered(cloud), null)
  })

  test('is no reason to take over a machine that has the name by chance', async () => {
    await using cloud = await open()
    const stranger = await cloud.createRunning('other', { spec: { probe, name: 'tiny-warm' } })
    const taskId = await warm(cloud)
    await ends(cloud, taskId)
    assert.equal(errorOf(cloud, taskId)?.code, 'name-taken')
    assert.equal(cloud.vm(stranger)?.spec.desired, 'running')
  })

  test('is not begun twice at the same time', async () => {
    await using cloud = await open()
    const ask = async () =>
      handlersOf(cloud).warmTemplate({ params: { template: 'tiny' }, query: undefined, body: {} }, caller, scope)
    await ask()
    await assert.rejects(ask(), { code: 'in-use' })
  })
})
