/** Restart trees against fake hosts, under virtual time: what fails, what is restarted, and what is left in peace. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { restartsOf } from '../../control/services/restart-history.ts'
import { hostIdOf, vmIdOf } from '../../model/cluster-state.fixture.ts'
import { serviceIdSchema } from '../../model/ids.ts'
import { probeSchema } from '../../model/recovery/probe.ts'
import { serviceFileSchema } from '../../model/service/service-file.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import { put } from '../leader.ts'
import { keys } from '../state/keys.ts'

const serviceId = serviceIdSchema.parse('svc-shop0000')
const tiny = { template: 'tiny', recovery: 'warm' } as const
const file = serviceFileSchema.parse({
  service: 'shop',
  components: { db: tiny, cache: tiny, worker: { ...tiny, needs: ['cache'] }, web: { ...tiny, needs: ['db'] } },
  groups: [{ name: 'back', components: ['cache', 'worker'] }],
})
const probe = probeSchema.parse({ check: { kind: 'tcp', port: 80 } })
const components = ['db', 'cache', 'worker', 'web'] as const
type Component = (typeof components)[number]

/** A service all of whose machines serve; `cured` is asked of each restart: who serves after it. */
async function openShop(cured: (restarted: readonly string[]) => readonly Component[]): Promise<Cloud> {
  const cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
  for (const component of components) {
    const membership = { serviceId, component, replica: 1 }
    await cloud.createRunning(component, { spec: { probe, membership, recovery: { mode: 'warm' } } })
  }
  const at = cloud.clock.wallTime().toISOString()
  const spec = { id: serviceId, name: 'shop', file, lifecycle: 'live', createdAt: at, appliedAt: at }
  await cloud.store.commit({ conditions: [], writes: [put(keys.service(serviceId), spec)] })
  const restarted: string[] = []
  const { port } = cloud.agents
  const { recoverMachine } = port
  Object.assign(port, {
    async recoverMachine(...[host, order]: Parameters<typeof recoverMachine>) {
      await recoverMachine(host, order)
      restarted.push(cloud.vm(order.vmId)?.spec.name ?? '')
      for (const component of cured(restarted)) say(cloud, component, 'correct')
    },
  })
  for (const component of components) say(cloud, component, 'correct')
  await cloud.clock.advance(6_000)
  return cloud
}

function machineOf(cloud: Cloud, name: string) {
  for (const host of cloud.agents.hosts.values()) {
    const machine = host.machines.get(vmIdOf(name))
    if (machine !== undefined) return machine
  }
  throw new Error(`${name} is nowhere`)
}
const say = (cloud: Cloud, name: string, service: 'correct' | 'wrong') =>
  void (machineOf(cloud, name).service = service)
const beginLife = (cloud: Cloud, name: string) => void (machineOf(cloud, name).incarnation += 1)

const restarts = (cloud: Cloud) =>
  restartsOf(cloud.state(), serviceId).map(({ components: cell, isCured }) => `${cell.join('+')}: ${isCured}`)
const about = async (cloud: Cloud, name: string) =>
  (await cloud.engine().ledger.entries(vmIdOf(name))).flatMap(({ record }) =>
    record.kind === 'cell-restart' ? [`${record.components.join('+')}${record.isWithIt ? '' : ', told'}`] : [],
  )

describe('a component that fails', () => {
  test('and recovers by itself causes no restart of anything', async () => {
    await using cloud = await openShop(() => [])
    say(cloud, 'worker', 'wrong')
    await cloud.clock.advance(1_500)
    say(cloud, 'worker', 'correct')
    await cloud.clock.advance(10_000)
    assert.deepEqual(restarts(cloud), [])
  })

  test('and does not recover is restarted with its cell, what it needs first; its neighbours are left in peace', async () => {
    await using cloud = await openShop((done) => (done.join() === 'cache,worker' ? ['worker'] : []))
    say(cloud, 'worker', 'wrong')
    await cloud.clock.advance(300)
    beginLife(cloud, 'worker')
    await cloud.clock.until('it is cured', () => restarts(cloud).some((one) => one.endsWith('true')), 30_000)
    assert.deepEqual(restarts(cloud), ['cache+worker: true'])
    assert.deepEqual(await about(cloud, 'cache'), ['cache+worker'])
    assert.deepEqual([await about(cloud, 'db'), await about(cloud, 'web')], [[], []])
    const lessons = cloud.state().services.get(serviceId)?.lessons['worker']?.['back']
    assert.equal(lessons?.cures, 1)
  })

  test('and is cured by nothing is escalated to the whole service, and ends with a person', async () => {
    await using cloud = await openShop(() => ['db', 'cache', 'web'])
    say(cloud, 'worker', 'wrong')
    await cloud.clock.advance(300)
    beginLife(cloud, 'worker')
    const isOver = async () => (await cloud.events()).includes('service.needs-person shop')
    for (let turn = 0; turn < 60 && !(await isOver()); turn += 1) await cloud.clock.advance(5_000)
    assert.ok(await isOver())
    assert.deepEqual(restarts(cloud), ['cache+worker: false', 'cache+db+web+worker: false'])
    await cloud.clock.advance(60_000)
    assert.equal(restarts(cloud).length, 2, 'it was restarted again')
  })

  test('for want of what it needs is not restarted; it is told of that one’s restart', async () => {
    await using cloud = await openShop((done) => (done.includes('db') ? ['db', 'web'] : []))
    say(cloud, 'db', 'wrong')
    say(cloud, 'web', 'wrong')
    await cloud.clock.until('it is cured', () => restarts(cloud).some((one) => one.endsWith('true')), 30_000)
    assert.deepEqual(restarts(cloud), ['db: true'])
    assert.deepEqual(await about(cloud, 'web'), ['db, told'])
  })

  test('while its host is silent causes no restart: that is the cluster’s business', async () => {
    await using cloud = await openShop(() => [])
    const home = cloud.agents.runningOn(vmIdOf('worker'))[0] ?? ''
    const there = components.filter((name) => cloud.agents.runningOn(vmIdOf(name)).includes(home))
    cloud.agents.host(home).isCut = true
    const isElsewhere = () => there.every((name) => cloud.vm(vmIdOf(name))?.placement?.hostId !== hostIdOf(home))
    await cloud.clock.until('its machines are elsewhere', isElsewhere, 60_000)
    await cloud.clock.advance(2_000)
    cloud.agents.host(home).machines.clear()
    for (const name of there) say(cloud, name, 'correct')
    await cloud.clock.advance(20_000)
    assert.deepEqual(restarts(cloud), [])
  })
})

test('a restart that the controller dies in goes on to its end, and is entered once', async () => {
  await using cloud = await openShop((done) => (done.includes('worker') ? ['worker'] : []))
  say(cloud, 'worker', 'wrong')
  await cloud.clock.advance(300)
  beginLife(cloud, 'worker')
  await cloud.clock.until('it has begun', () => restarts(cloud).length === 1, 10_000)
  cloud.crash()
  await cloud.clock.advance(300)
  await cloud.startEngine()
  await cloud.clock.until('it has ended', () => restarts(cloud)[0]?.endsWith('true') === true, 60_000)
  assert.deepEqual(restarts(cloud), ['cache+worker: true'])
})
