/** The whole state is lost while hosts go on. What is entered from their disks disturbs nothing that runs, and starts nothing that might. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planRebuild } from '../../control/rebuild/plan-rebuild.ts'
import { hostIdOf, makeStorage, someTime, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import type { VmId } from '../../model/ids.ts'
import type { Testimony, VolumeContents } from '../../model/rebuild/testimony.ts'
import { openMemoryStore } from '../../store/memory/memory-store.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import { reportOf } from '../fake-host.fixture.ts'
import { put } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { type EnteredRebuild, enterRebuilt } from './enter-rebuilt.ts'

const ada = { name: 'ada' }
const bob = { name: 'bob' }

async function startWith() {
  const cloud = await startCloud({ hosts: [ada, bob] })
  const web = await cloud.createRunning('web')
  const old = await cloud.createRunning('old', { spec: { ha: false } })
  await cloud.change(old, { desired: 'stopped' })
  await cloud.clock.until('old is stopped', () => cloud.vm(old)?.status?.state === 'stopped', 10_000)
  await cloud.clock.advance(3_000)
  const owner = cloud.host(cloud.agents.runningOn(web)[0] ?? '').spec.name
  return { cloud, web, old, owner, other: owner === 'ada' ? 'bob' : 'ada' }
}

/** A new controller, on a state that knows only what it makes for itself. */
async function loseState(cloud: Cloud): Promise<void> {
  const { cluster, templates } = cloud.state()
  cloud.crash()
  cloud.store = openMemoryStore({ createId: () => 'history-2' })
  const known = [...templates.values()].map((template) => put(keys.template(template.id), template))
  await cloud.store.commit({ conditions: [], writes: [put(keys.cluster, cluster), ...known] })
  await cloud.startEngine()
  await cloud.clock.advance(500)
}

/** What hosts that can be reached tell, and what lies beside disks; whoever ran a machine last has claimed its disk. */
function testimonyOf(cloud: Cloud, claimants: Readonly<Record<string, string>>): Testimony {
  const { hosts, disks } = cloud.agents
  const volumes = [...disks.manifests].map(([volumeId, manifest]): VolumeContents => {
    const hostName = claimants[manifest.vm.name]
    const life = { vmId: manifest.vm.id, epoch: manifest.version.epoch, incarnation: 0 }
    const claim = hostName === undefined ? null : { hostName, life }
    return { volumeId, manifest, claim, snapshots: [], error: null }
  })
  return {
    hosts: [...hosts.values()]
      .filter((host) => !host.isCut && !host.isOff)
      .map(({ spec, machines }) => ({
        host: spec,
        introduction: { hostName: spec.name, address: spec.address, port: spec.port, configuration: null },
        reports: [...machines].map(([vmId, machine]) => reportOf(vmId, machine)),
      })),
    storages: [{ storage: makeStorage('shared'), readBy: hostIdOf('ada'), volumes }],
    unread: [],
  }
}

async function rebuild(cloud: Cloud, claimants: Readonly<Record<string, string>> = {}): Promise<EnteredRebuild> {
  const plan = planRebuild(cloud.state(), testimonyOf(cloud, claimants), someTime)
  const entering = enterRebuilt(cloud.engine().leader, plan.entries, { user: 'test' })
  await cloud.clock.advance(100)
  return entering
}

const stateOf = (cloud: Cloud, vmId: VmId) => cloud.vm(vmId)?.status?.state
const assertUnharmed = ({ agents }: Cloud) => assert.deepEqual([agents.twoWriters, agents.disks.troubles], [[], []])

test('what runs goes on untouched under its epoch, what is stopped stays so, and both are their owner’s again', async () => {
  const { cloud, web, old, owner } = await startWith()
  const epochs = [web, old].map((vmId) => cloud.vm(vmId)?.placement?.epoch ?? 0)
  await loseState(cloud)
  const orders = cloud.agents.orders.length
  const { refused } = await rebuild(cloud)
  await cloud.clock.until('web is known to run', () => stateOf(cloud, web) === 'running', 10_000)
  await cloud.clock.advance(10_000)
  assert.deepEqual([refused, cloud.agents.orders.slice(orders)], [[], []])
  assert.deepEqual(cloud.agents.runningOn(web), [owner])
  assert.deepEqual([stateOf(cloud, old), cloud.vm(old)?.spec.desired], ['stopped', 'stopped'])
  assert.equal(cloud.vm(web)?.placement?.epoch, epochs[0])
  await cloud.change(old, { desired: 'running' })
  await cloud.clock.until('old runs', () => stateOf(cloud, old) === 'running', 20_000)
  assert.ok((cloud.vm(old)?.placement?.epoch ?? 0) > (epochs[1] ?? 0))
  assertUnharmed(cloud)
  await cloud[Symbol.asyncDispose]()
})

test('a machine with HA that was entered anew is brought back when its host dies, under a higher epoch', async () => {
  const { cloud, web, owner, other } = await startWith()
  const epoch = cloud.vm(web)?.placement?.epoch ?? 0
  await loseState(cloud)
  await rebuild(cloud)
  await cloud.clock.until('web is known to run', () => stateOf(cloud, web) === 'running', 10_000)
  await cloud.clock.advance(10_000)
  cloud.agents.host(owner).isOff = true
  cloud.agents.host(owner).machines.clear()
  await cloud.clock.until('it runs elsewhere', () => cloud.agents.runningOn(web)[0] === other, 60_000)
  assert.ok((cloud.vm(web)?.placement?.epoch ?? 0) > epoch)
  assertUnharmed(cloud)
  await cloud[Symbol.asyncDispose]()
})

test('a controller that dies at any moment of it leaves a half that is completed by doing it again', async () => {
  for (let commits = 0; ; commits += 1) {
    const { cloud, web, old, owner } = await startWith()
    await loseState(cloud)
    const { store } = cloud
    let left = commits
    const breaking = { ...store, commit: (...given: Parameters<typeof store.commit>) => commitOrDie(given) }
    const commitOrDie = (given: Parameters<typeof store.commit>) => {
      if (left === 0) return Promise.reject(new Error('the controller died'))
      left -= 1
      return store.commit(...given)
    }
    const plan = planRebuild(cloud.state(), testimonyOf(cloud, {}), someTime)
    const leader = { ...cloud.engine().leader, store: breaking }
    const half = enterRebuilt(leader, plan.entries, { user: 'test' }).then(
      () => true,
      () => false,
    )
    await cloud.clock.advance(1_000)
    const isWhole = await half
    cloud.crash()
    await cloud.clock.advance(500)
    await cloud.startEngine()
    await cloud.clock.advance(500)
    await rebuild(cloud)
    await cloud.clock.until('web is known to run', () => stateOf(cloud, web) === 'running', 10_000)
    await cloud.clock.until('old is known to be stopped', () => stateOf(cloud, old) === 'stopped', 10_000)
    assert.deepEqual(cloud.agents.runningOn(web), [owner])
    assertUnharmed(cloud)
    await cloud[Symbol.asyncDispose]()
    if (isWhole) break
    assert.ok(commits < 30)
  }
})

test('what a silent host may run is held, whoever wants it, and goes on undisturbed when the host is back', async () => {
  const { cloud, web, owner } = await startWith()
  cloud.agents.host(owner).isCut = true
  await loseState(cloud)
  await rebuild(cloud, { web: owner })
  await cloud.clock.advance(5_000)
  assert.equal(stateOf(cloud, web), 'unknown')
  await cloud.change(web, { desired: 'running' })
  await cloud.clock.advance(30_000)
  assert.deepEqual([stateOf(cloud, web), cloud.agents.runningOn(web)], ['unknown', [owner]])
  assert.match(cloud.vm(web)?.status?.detail ?? '', new RegExp(`confirm-dead ${owner}`))
  cloud.agents.host(owner).isCut = false
  await cloud.clock.until('it is known to run', () => stateOf(cloud, web) === 'running', 10_000)
  assert.deepEqual(cloud.agents.runningOn(web), [owner])
  assertUnharmed(cloud)
  await cloud[Symbol.asyncDispose]()
})

test('once a person has said that its silent host is off, it may be started elsewhere, and is not before', async () => {
  const { cloud, web, owner, other } = await startWith()
  const epoch = cloud.vm(web)?.placement?.epoch ?? 0
  const host = cloud.agents.host(owner)
  host.isOff = true
  host.machines.clear()
  await loseState(cloud)
  await rebuild(cloud, { web: owner })
  await cloud.clock.advance(30_000)
  assert.equal(stateOf(cloud, web), 'unknown')
  const word = cloud.engine().confirmHostDead(host.spec.id, 'alice')
  await cloud.clock.advance(1_000)
  await word
  await cloud.clock.until('it is known to run nowhere', () => stateOf(cloud, web) === 'stopped', 10_000)
  await cloud.clock.advance(5_000)
  assert.deepEqual(cloud.agents.runningOn(web), [])
  await cloud.change(web, { desired: 'running' })
  await cloud.clock.until('it runs elsewhere', () => cloud.agents.runningOn(web)[0] === other, 20_000)
  assert.ok((cloud.vm(web)?.placement?.epoch ?? 0) > epoch)
  assertUnharmed(cloud)
  await cloud[Symbol.asyncDispose]()
})

test('a life that stands still on a host that was fenced is not let go on while its successor may run', async () => {
  const { cloud, web, owner, other } = await startWith()
  const fenced = cloud.agents.host(owner)
  fenced.isCut = true
  fenced.isWithoutStorage = true
  await cloud.clock.until('it runs elsewhere', () => cloud.agents.runningOn(web)[0] === other, 60_000)
  await cloud.clock.advance(3_000)
  assert.equal(fenced.machines.get(web)?.phase, 'frozen')
  cloud.agents.host(other).isCut = true
  fenced.isCut = false
  await loseState(cloud)
  await rebuild(cloud, { web: other })
  await cloud.clock.advance(20_000)
  assert.deepEqual([fenced.machines.get(web)?.phase, stateOf(cloud, web)], ['frozen', 'unknown'])
  cloud.agents.host(other).isCut = false
  await cloud.clock.until('it is known to run', () => stateOf(cloud, web) === 'running', 20_000)
  await cloud.clock.until('the old life is gone', () => !fenced.machines.has(web), 20_000)
  await cloud.clock.until('the host is admitted', () => cloud.host(owner).status.state === 'online', 20_000)
  assert.deepEqual(cloud.agents.runningOn(web), [other])
  assertUnharmed(cloud)
  await cloud[Symbol.asyncDispose]()
})

test('its manifests go on above those that it was entered from', async () => {
  const { cloud, web } = await startWith()
  const written = () => cloud.agents.disks.manifests.get(volumeIdOf('web')) ?? assert.fail()
  const before = written().version
  await loseState(cloud)
  await rebuild(cloud)
  await cloud.clock.until('it is written again', () => written().version.revision > before.revision, 5_000)
  await cloud.clock.advance(3_000)
  assert.deepEqual([written().version.epoch, written().vm.id], [before.epoch, web])
  assert.deepEqual(cloud.engine().manifestsBehind(), new Map())
  await cloud[Symbol.asyncDispose]()
})
