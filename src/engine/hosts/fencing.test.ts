/** A host falls silent: whole stories from the last heartbeat to the machine's next life. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { storageIdOf } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { leaseProofAfterMs, newLeaderWaitsMs, pillProofAfterMs } from '../../model/protection/bounds.ts'
import { defaultTimings } from '../../model/timings.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'

const leaseBoundMs = leaseProofAfterMs(defaultTimings)
const pillBoundMs = defaultTimings.pillAfterMs + pillProofAfterMs(defaultTimings)

/** One HA machine that runs, the name of its host, and the others'. */
async function withMachine(cloud: Cloud, name = 'web') {
  const vmId = await cloud.createRunning(name)
  const [home = ''] = cloud.agents.runningOn(vmId)
  const others = [...cloud.agents.hosts.values()].map(({ spec }) => spec.name).filter((host) => host !== home)
  return { vmId, home, others }
}

const kinds = async (cloud: Cloud) => (await cloud.events()).map((event) => event.split(' ')[0])

describe('a host that falls silent', () => {
  test('is suspected, given a pill, proven dead by its lease, and its machine starts elsewhere: not before the bound', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }, { name: 'cyd' }] })
    const { vmId, home, others } = await withMachine(cloud)
    cloud.agents.host(home).isCut = true
    const cutAtMs = cloud.clock.bootTimeMs()
    await cloud.clock.until('it runs elsewhere', () =>
      others.some((name) => cloud.agents.runningOn(vmId).includes(name)),
    )
    const tookMs = cloud.clock.bootTimeMs() - cutAtMs
    const placement = cloud.vm(vmId)?.placement
    assert.equal(placement?.proof?.kind, 'lease')
    assert.ok(placement.proof.silentMs >= leaseBoundMs)
    assert.ok(placement.proof.pills.every(({ stoodMs }) => stoodMs >= pillProofAfterMs(defaultTimings)))
    assert.equal(placement.proof.pills.length, 1)
    assert.equal(placement.lastRecovery?.proof.kind, 'lease')
    assert.ok(tookMs >= leaseBoundMs - defaultTimings.heartbeatMs, `it took only ${tookMs} ms`)
    assert.ok(tookMs < Math.max(leaseBoundMs, pillBoundMs) + 1_000, `it took ${tookMs} ms`)
    assert.equal(placement.epoch, 2)
    assert.deepEqual(cloud.agents.twoWriters, [])
    const order = ['host.suspect', 'host.fencing', 'host.fenced', 'vm.recovered-on']
    assert.deepEqual(
      (await kinds(cloud)).filter((kind) => order.includes(kind ?? '')),
      order,
    )
  })

  test('with a power fence is switched off, and its machine starts elsewhere much earlier', async () => {
    const hosts = ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true }))
    await using cloud = await startCloud({ hosts })
    const { vmId, home, others } = await withMachine(cloud)
    cloud.agents.host(home).isCut = true
    const cutAtMs = cloud.clock.bootTimeMs()
    await cloud.clock.until('it runs elsewhere', () =>
      others.some((name) => cloud.agents.runningOn(vmId).includes(name)),
    )
    assert.ok(cloud.clock.bootTimeMs() - cutAtMs < 2_000)
    assert.equal(cloud.vm(vmId)?.placement?.proof?.kind, 'power')
    assert.equal(cloud.agents.host(home).isOff, true)
  })

  test('that was switched off may still have writes on their way: they get their time to land', async () => {
    const hosts = ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true }))
    await using cloud = await startCloud({ hosts })
    const { vmId, home, others } = await withMachine(cloud)
    cloud.agents.host(home).isCut = true
    await cloud.clock.until('it is switched off', () => cloud.agents.host(home).isOff)
    await cloud.clock.advance(defaultTimings.drainMs - 1)
    assert.equal(cloud.host(home).status.proof, null)
    await cloud.clock.until('it runs elsewhere', () =>
      others.some((name) => cloud.agents.runningOn(vmId).includes(name)),
    )
  })

  for (const hasPowerFence of [true, false])
    test(`only because its agent stands still for a moment is left alone as long as its lease holds, and one whose agent stays silent is ${hasPowerFence ? 'switched off' : 'given a pill'}`, async () => {
      const hosts = ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence }))
      await using cloud = await startCloud({ hosts })
      const { vmId, home } = await withMachine(cloud)
      cloud.agents.host(home).isStalled = true
      await cloud.clock.advance(defaultTimings.leaseMs - defaultTimings.heartbeatMs - 100)
      assert.equal(cloud.host(home).status.state, 'suspect')
      cloud.agents.host(home).isStalled = false
      await cloud.clock.until('it answers again', () => cloud.host(home).status.state === 'online')
      assert.deepEqual(cloud.agents.runningOn(vmId), [home])
      assert.equal(cloud.vm(vmId)?.placement?.epoch, 1)
      cloud.agents.host(home).isStalled = true
      await cloud.clock.until('it is fenced', () => cloud.host(home).status.proof !== null)
      assert.equal(cloud.agents.host(home).isOff, hasPowerFence)
      assert.deepEqual(cloud.agents.twoWriters, [])
    })

  test('when a new leader begins, and whose kernel answers, is judged with that answer', async () => {
    const hosts = ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true }))
    await using cloud = await startCloud({ hosts })
    const { vmId, home } = await withMachine(cloud)
    cloud.crash()
    await cloud.startEngine()
    await cloud.clock.advance(newLeaderWaitsMs(defaultTimings) - defaultTimings.suspectAfterMs - 100)
    cloud.agents.host(home).isStalled = true
    await cloud.clock.advance(1_500)
    cloud.agents.host(home).isStalled = false
    await cloud.clock.advance(5_000)
    assert.equal((await kinds(cloud)).includes('host.fencing'), false)
    assert.deepEqual(cloud.agents.runningOn(vmId), [home])
  })

  test('for the controller only, whose store is slow at the moment, is not suspected', async () => {
    const hosts = ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true }))
    await using cloud = await startCloud({ hosts })
    const { home } = await withMachine(cloud)
    cloud.crash()
    const { store } = cloud
    let storeTakesMs = 0
    const commit: typeof store.commit = async (transaction) => {
      if (storeTakesMs > 0) await cloud.clock.sleep(storeTakesMs)
      return store.commit(transaction)
    }
    cloud.store = { ...store, commit }
    await cloud.startEngine()
    await cloud.clock.advance(10_000)
    storeTakesMs = 1_500
    cloud.agents.host(home).memoryMiB += 1
    await cloud.clock.advance(5_000)
    assert.equal((await kinds(cloud)).includes('host.suspect'), false)
    assert.equal(cloud.host(home).status.memoryMiB, cloud.agents.host(home).memoryMiB)
  })

  test('whose power fence fails is still proven dead by its lease', async () => {
    const hosts = ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true }))
    await using cloud = await startCloud({ hosts })
    cloud.agents.fences.refuses = true
    const { vmId, home, others } = await withMachine(cloud)
    cloud.agents.host(home).isCut = true
    await cloud.clock.until('it runs elsewhere', () =>
      others.some((name) => cloud.agents.runningOn(vmId).includes(name)),
    )
    assert.equal(cloud.vm(vmId)?.placement?.proof?.kind, 'lease')
    assert.ok((await kinds(cloud)).includes('host.power-fence-failed'))
    assert.deepEqual(cloud.agents.twoWriters, [])
  })

  test('and whose power fence fails again and again for the same reason is news once', async () => {
    const hosts = ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true, armed: 'none' as const }))
    await using cloud = await startCloud({ hosts })
    cloud.agents.fences.refuses = true
    const { home } = await withMachine(cloud)
    cloud.agents.host(home).isCut = true
    await cloud.clock.advance(30_000)
    assert.equal((await kinds(cloud)).filter((kind) => kind === 'host.power-fence-failed').length, 1)
  })

  test('and keeps its storage runs its machine on until the pill, which kills it before the other life begins', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    const { vmId, home } = await withMachine(cloud)
    cloud.agents.host(home).isCut = true
    await cloud.clock.advance(defaultTimings.pillAfterMs - 300)
    assert.deepEqual(cloud.agents.runningOn(vmId), [home])
    await cloud.clock.until('the pill killed it', () => cloud.agents.runningOn(vmId).length === 0)
    await cloud.clock.advance(10_000)
    assert.equal(cloud.agents.runningOn(vmId).length, 1)
    assert.deepEqual(cloud.agents.twoWriters, [])
  })
})

describe('a pill', () => {
  test('counts from when it stands: one that hangs on its way proves nothing, and one that failed is written again', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }, { name: 'cyd' }] })
    const { vmId, home } = await withMachine(cloud)
    const written: number[] = []
    cloud.agents.takesMs.set('writePill', 2_500)
    cloud.agents.intercept = (call, moment) => {
      if (call !== 'writePill' || moment !== 'before') return
      written.push(cloud.clock.bootTimeMs())
      if (written.length === 1) throw new DialtoneError('storage-failed', 'not yet')
    }
    cloud.agents.host(home).isCut = true
    await cloud.clock.until('it is proven dead', () => cloud.host(home).status.proof !== null)
    assert.equal(written.length, 2)
    const stoodMs = cloud.clock.bootTimeMs() - (written.at(-1) ?? Infinity)
    assert.ok(stoodMs >= pillProofAfterMs(defaultTimings), `it stood for ${stoodMs} ms`)
    await cloud.clock.until('it runs elsewhere', () => cloud.vm(vmId)?.placement?.hostId !== cloud.host(home).spec.id)
    assert.deepEqual(cloud.agents.twoWriters, [])
  })
})

describe('when more hosts than the set share fall silent together', () => {
  test('nobody is fenced, and everything runs on', async () => {
    const names = ['ada', 'bob', 'cyd', 'dan']
    await using cloud = await startCloud({ hosts: names.map((name) => ({ name, hasPowerFence: true })) })
    const { vmId, home } = await withMachine(cloud)
    for (const name of names) cloud.agents.host(name).isCut = true
    await cloud.clock.advance(60_000)
    assert.equal(cloud.agents.pills.size, 0)
    assert.ok(names.every((name) => !cloud.agents.host(name).isOff))
    assert.deepEqual(cloud.agents.runningOn(vmId), [home])
    for (const name of names) cloud.agents.host(name).isCut = false
    await cloud.clock.until('it is seen running', () => cloud.vm(vmId)?.status?.state === 'running')
    assert.deepEqual(cloud.vm(vmId)?.placement?.epoch, 1)
  })

  test('that stays so however long it lasts, also while some hosts still answer', async () => {
    const names = ['ada', 'bob', 'cyd', 'dan', 'eve']
    await using cloud = await startCloud({ hosts: names.map((name) => ({ name, hasPowerFence: true })) })
    const { vmId, home } = await withMachine(cloud)
    const silent = [home, ...names.filter((name) => name !== home).slice(0, 2)]
    for (const name of silent) cloud.agents.host(name).isCut = true
    await cloud.clock.advance(30_000)
    assert.deepEqual(cloud.agents.runningOn(vmId), [home])
    assert.equal(cloud.agents.host(home).isOff, false)
  })
})

describe('a host that comes back in the middle of its fencing', () => {
  test('lets go first, is admitted again, and its machine continues exactly once', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    const { vmId, home } = await withMachine(cloud)
    cloud.agents.host(home).isCut = true
    await cloud.clock.until('the fencing begins', () => cloud.host(home).status.fencing !== null)
    cloud.agents.host(home).isCut = false
    await cloud.clock.until('it is admitted', () => cloud.host(home).status.state === 'online')
    await cloud.clock.until('the machine runs', () => cloud.agents.runningOn(vmId).length === 1)
    await cloud.clock.advance(5_000)
    assert.equal(cloud.agents.runningOn(vmId).length, 1)
    assert.equal(cloud.host(home).status.fencing, null)
    assert.equal(cloud.host(home).status.proof, null)
    assert.equal(cloud.agents.pills.size, 0)
    assert.equal(cloud.vm(vmId)?.status?.state, 'running')
    assert.deepEqual(cloud.agents.twoWriters, [])
  })

  test('keeps its machines without HA, which no fencing reaches: they are started nowhere else', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    const { home } = await withMachine(cloud)
    const plain = await cloud.createRunning('plain', { spec: { ha: false } })
    if (!cloud.agents.runningOn(plain).includes(home)) {
      // It went to the emptier host: the machine with HA then has to be there as well for a fencing to begin.
      await cloud.createRunning('second')
      await cloud.createRunning('third')
    }
    const [host = ''] = cloud.agents.runningOn(plain)
    cloud.agents.host(host).isCut = true
    await cloud.clock.until('the fencing begins', () => cloud.host(host).status.fencing !== null)
    cloud.agents.host(host).isCut = false
    await cloud.clock.advance(10_000)
    assert.deepEqual(cloud.agents.runningOn(plain), [host])
    assert.equal(cloud.vm(plain)?.placement?.epoch, 1)
    assert.deepEqual(cloud.agents.twoWriters, [])
  })

  test('whose pill was written late is not left with a pill that nobody clears', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    const { vmId, home } = await withMachine(cloud)
    cloud.agents.host(home).isCut = true
    await cloud.clock.until('a pill stands', () => cloud.agents.pills.size === 1)
    const [entry] = cloud.agents.pills
    cloud.agents.host(home).isCut = false
    await cloud.clock.until('it is admitted', () => cloud.host(home).status.state === 'online')
    if (entry !== undefined) cloud.agents.pills.set(...entry)
    await cloud.clock.advance(20_000)
    assert.equal(cloud.agents.pills.size, 0)
    assert.equal(cloud.agents.runningOn(vmId).length, 1)
  })
})

describe('a proof by lease', () => {
  test('reaches only machines whose storages had a pill', async () => {
    const hosts = [{ name: 'ada' }, { name: 'bob' }]
    await using cloud = await startCloud({ hosts, storages: ['shared', 'second'] })
    await cloud.createRunning('one')
    await cloud.createRunning('two')
    const other = await cloud.createRunning('three', { storage: storageIdOf('second') })
    const [home = ''] = cloud.agents.runningOn(other)
    cloud.agents.host(home).isCut = true
    // Its owner wants it stopped, so it is no reason for a pill; it runs on by pill-free reads of its own storage.
    await cloud.change(other, { desired: 'stopped' })
    await cloud.clock.until('the host is proven dead', () => cloud.host(home).status.proof !== null)
    await cloud.change(other, { desired: 'running' })
    await cloud.clock.advance(10_000)
    assert.deepEqual(cloud.agents.twoWriters, [])
  })

  test('reaches no machine that was started without a lease, whatever the host says of its watchdog later', async () => {
    const hosts = [
      { name: 'ada', armed: 'none', hasPowerFence: true },
      { name: 'bob', armed: 'none', hasPowerFence: true },
    ] as const
    await using cloud = await startCloud({ hosts })
    cloud.agents.fences.refuses = true
    const { vmId, home } = await withMachine(cloud)
    for (const host of cloud.agents.hosts.values()) host.armed = 'soft'
    await cloud.clock.advance(1_000)
    cloud.agents.host(home).isCut = true
    await cloud.clock.advance(20_000)
    assert.deepEqual(cloud.agents.runningOn(vmId), [home])
    assert.deepEqual(cloud.agents.twoWriters, [])
  })
})

describe('an operator’s word that a host is dead', () => {
  test('moves its machines, also those without HA, and names the operator', async () => {
    await using cloud = await startCloud({
      hosts: [
        { name: 'ada', armed: 'none' },
        { name: 'bob', armed: 'none' },
      ],
    })
    const vmId = await cloud.createRunning('plain', { spec: { ha: false } })
    const [home = ''] = cloud.agents.runningOn(vmId)
    const host = cloud.agents.host(home)
    host.isOff = true
    host.machines.clear()
    await cloud.clock.until('it is suspected', () => cloud.host(home).status.state === 'suspect')
    assert.equal((await cloud.engine().confirmHostDead(host.spec.id, 'grace')).kind, 'operator')
    await cloud.clock.until('it runs elsewhere', () => cloud.agents.runningOn(vmId).length === 1)
    assert.deepEqual(cloud.vm(vmId)?.placement?.proof?.kind, 'operator')
  })

  test('is refused for a host that answers', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    await assert.rejects(cloud.engine().confirmHostDead(cloud.host('ada').spec.id, 'grace'))
    assert.equal(cloud.host('ada').status.state, 'online')
  })

  test('that was wrong ends in one running machine: the host lets go of what runs elsewhere now', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    const vmId = await cloud.createRunning('plain', { spec: { ha: false } })
    const [home = ''] = cloud.agents.runningOn(vmId)
    cloud.agents.host(home).isCut = true
    await cloud.clock.until('it is suspected', () => cloud.host(home).status.state === 'suspect')
    await cloud.engine().confirmHostDead(cloud.host(home).spec.id, 'grace')
    await cloud.clock.until('it runs elsewhere too', () => cloud.agents.runningOn(vmId).length === 2)
    cloud.agents.host(home).isCut = false
    await cloud.clock.advance(5_000)
    assert.equal(cloud.agents.runningOn(vmId).length, 1)
    assert.notDeepEqual(cloud.agents.runningOn(vmId), [home])
  })
})
