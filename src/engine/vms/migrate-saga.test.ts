/** Every order of a move fails, loses its answer, and is cut by a crash: in the end exactly one machine runs, on one of the two hosts. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hostIdOf, sharedId, storageIdOf, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { TaskId, VmId } from '../../model/ids.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import type { Call } from '../fake-agents.fixture.ts'

type Mishap = 'fails once' | 'loses its answer once' | 'crashes before' | 'crashes after'
const mishaps: readonly Mishap[] = ['fails once', 'loses its answer once', 'crashes before', 'crashes after']
const orders: readonly Call[] = [
  'deleteVolume',
  'createVolume',
  'prepareDeparture',
  'expectArrival',
  'depart',
  'followDeparture',
  'completeArrival',
  'releaseMachine',
]

type Moment = { readonly call: Call; readonly code: DialtoneError['code'] }

function arrange(cloud: Cloud, mishap: Mishap, { call, code }: Moment): void {
  let isOver = false
  const moment = mishap === 'fails once' || mishap === 'crashes before' ? 'before' : 'after'
  cloud.agents.intercept = (seen, at) => {
    if (seen !== call || at !== moment || isOver) return
    isOver = true
    if (mishap.startsWith('crashes')) cloud.crash()
    throw new DialtoneError(code, `${call} met with: ${mishap}`)
  }
}

/** `shared`: all of it on shared storage. `local`: a disk of its host's own goes with it, another one stays where it is. */
type Disks = 'shared' | 'local'

async function startMoving(hosts: readonly string[] = ['ada', 'bob'], disks: Disks = 'shared') {
  const cloud = await startCloud({ hosts: hosts.map((name) => ({ name })), hasLocalStorages: true })
  const [first = ''] = hosts
  const spec = disks === 'shared' ? {} : { ha: false, boundToHostId: hostIdOf(first), disks: disksAt(first) }
  const vmId = await cloud.createRunning('web', { spec })
  const [home = ''] = cloud.agents.runningOn(vmId)
  const other = hosts.find((name) => name !== home) ?? ''
  return { cloud, vmId, home, other }
}

const disksAt = (host: string) =>
  [storageIdOf(host), sharedId].map((storageId, index) => ({
    volumeId: volumeIdOf(`web${index}`),
    storageId,
    format: 'qcow2' as const,
    sizeMiB: 100,
  }))

function move(cloud: Cloud, vmId: VmId, to: string): Promise<TaskId> {
  return cloud.begin('vm.migrate', { vmId, wishedHostId: hostIdOf(to) })
}

async function letItEnd(cloud: Cloud): Promise<void> {
  await cloud.clock.advance(300)
  if (cloud.engine().leader.signal.aborted) {
    await cloud.clock.advance(300)
    await cloud.startEngine()
  }
  const isOver = () => [...cloud.state().tasks.values()].every(({ endedAt }) => endedAt !== null)
  await cloud.clock.until('every task has ended', isOver, 120_000)
  await cloud.clock.advance(3_000)
}

/** One life, where the store says, nothing else anywhere, and no record left open. */
function assertOneOwner(cloud: Cloud, vmId: VmId): string {
  const vm = cloud.vm(vmId)
  const [on = '', ...others] = cloud.agents.runningOn(vmId)
  assert.deepEqual([cloud.agents.twoWriters, others, vm?.migration], [[], [], undefined])
  assert.deepEqual(cloud.agents.disks.troubles, [])
  const places = vm?.spec.disks.map(({ storageId, volumeId }) => `${storageId} ${volumeId}`).toSorted()
  assert.deepEqual([cloud.agents.disks.places(), cloud.state().discards.size], [places, 0])
  assert.equal(vm?.placement?.hostId, hostIdOf(on))
  assert.equal(vm?.status?.state, 'running')
  const holders = [...cloud.agents.hosts.values()].filter(({ machines }) => machines.has(vmId))
  assert.deepEqual(
    holders.map(({ spec }) => spec.name),
    [on],
  )
  return on
}

describe('vm.migrate', () => {
  test('moves a machine under a new epoch, and what runs is what was sent', async () => {
    const { cloud, vmId, other } = await startMoving()
    const taskId = await move(cloud, vmId, other)
    await letItEnd(cloud)
    assert.equal(cloud.taskState(taskId), 'succeeded')
    assert.equal(assertOneOwner(cloud, vmId), other)
    assert.ok((cloud.vm(vmId)?.placement?.epoch ?? 0) > 1)
    assert.equal(cloud.agents.orders.filter((order) => order.startsWith('startMachine')).length, 1)
    const told = (await cloud.events()).slice(-3).toSorted()
    assert.deepEqual(told, ['vm.migrated web', 'vm.migration-began web', 'vm.running web'])
    assert.match(cloud.state().tasks.get(taskId)?.message ?? '', /moved from \w+ to \w+ in \d+ ms/)
    await cloud[Symbol.asyncDispose]()
  })

  test('takes the disks with it that only its host has, and leaves nothing of them there', async () => {
    const { cloud, vmId, other } = await startMoving(['ada', 'bob'], 'local')
    const taskId = await move(cloud, vmId, other)
    await letItEnd(cloud)
    assert.equal(cloud.taskState(taskId), 'succeeded')
    assert.equal(assertOneOwner(cloud, vmId), other)
    const { spec } = cloud.vm(vmId) ?? {}
    assert.deepEqual([spec?.disks, spec?.boundToHostId], [disksAt(other), hostIdOf(other)])
    assert.deepEqual(
      spec?.disks.map(({ volumeId }) => cloud.state().volumes.get(volumeId)?.storageId),
      disksAt(other).map(({ storageId }) => storageId),
    )
    await cloud[Symbol.asyncDispose]()
  })

  test('waits until what was left of an earlier move is gone from where its disks go', async () => {
    const { cloud, vmId, home, other } = await startMoving(['ada', 'bob'], 'local')
    // The host that it leaves is lost before it could be cleared.
    let isCleared = false
    cloud.agents.intercept = (call, at, host) => {
      if (call !== 'deleteVolume' || at !== 'before' || host.spec.name !== home || isCleared) return
      throw new DialtoneError('storage-failed', 'not now')
    }
    await move(cloud, vmId, other)
    await letItEnd(cloud)
    assert.deepEqual(
      [...cloud.state().discards.values()].map(({ storageId }) => storageId),
      [storageIdOf(home)],
    )
    const taskId = await move(cloud, vmId, home)
    await cloud.clock.advance(3_000)
    assert.equal(cloud.vm(vmId)?.migration, undefined)
    isCleared = true
    await letItEnd(cloud)
    assert.equal(cloud.taskState(taskId), 'succeeded')
    assert.equal(assertOneOwner(cloud, vmId), home)
    await cloud[Symbol.asyncDispose]()
  })

  test('that finds no room for its disks is refused before anything is made', async () => {
    const { cloud, vmId, home, other } = await startMoving(['ada', 'bob'], 'local')
    cloud.agents.host(other).freeMiB = 99
    await cloud.clock.until('that is known', () => cloud.host(other).status.storageRoom[0]?.freeMiB === 99)
    const taskId = await move(cloud, vmId, other)
    await letItEnd(cloud)
    assert.match(
      cloud.state().tasks.get(taskId)?.error?.message ?? '',
      /has room for a disk of 100 MiB: local \(99 MiB/,
    )
    assert.equal(assertOneOwner(cloud, vmId), home)
    await cloud[Symbol.asyncDispose]()
  })

  for (const [code, disks] of [
    ['storage-failed', 'local'],
    ['host-unreachable', 'local'],
    ['host-unreachable', 'shared'],
  ] as const) {
    for (const mishap of mishaps) {
      for (const call of orders) {
        test(`of ${disks} disks, whose ${call} ${mishap} (${code}) ends with exactly one machine that runs`, async () => {
          const { cloud, vmId, home, other } = await startMoving(['ada', 'bob'], disks)
          arrange(cloud, mishap, { call, code })
          const taskId = await move(cloud, vmId, other)
          await letItEnd(cloud)
          const on = assertOneOwner(cloud, vmId)
          const isMoved = cloud.vm(vmId)?.placement?.hostId === hostIdOf(other)
          if (cloud.taskState(taskId) === 'succeeded') assert.ok(isMoved)
          else assert.equal(on, home)
          await cloud[Symbol.asyncDispose]()
        })
      }
    }
  }

  test('that failed may be tried again, to the same host', async () => {
    const { cloud, vmId, other } = await startMoving()
    arrange(cloud, 'fails once', { call: 'depart', code: 'hypervisor-failed' })
    await move(cloud, vmId, other)
    await letItEnd(cloud)
    const taskId = await move(cloud, vmId, other)
    await letItEnd(cloud)
    assert.equal(cloud.taskState(taskId), 'succeeded')
    assert.equal(assertOneOwner(cloud, vmId), other)
    await cloud[Symbol.asyncDispose]()
  })

  test('that is cancelled in the middle leaves the machine where it was', async () => {
    const { cloud, vmId, home, other } = await startMoving(['ada', 'bob'], 'local')
    const taskId = await move(cloud, vmId, other)
    await cloud.clock.until('it is being sent', () => cloud.agents.orders.some((order) => order.startsWith('depart')))
    await cloud.engine().tasks.cancel(taskId)
    await letItEnd(cloud)
    assert.equal(cloud.taskState(taskId), 'cancelled')
    assert.equal(assertOneOwner(cloud, vmId), home)
    await cloud[Symbol.asyncDispose]()
  })

  for (const wish of ['stopped', 'deleted'] as const) {
    test(`of a machine that is ${wish} in the middle ends with nothing of it running`, async () => {
      const { cloud, vmId, other } = await startMoving(['ada', 'bob'], 'local')
      await move(cloud, vmId, other)
      await cloud.clock.until('it is being sent', () => cloud.agents.orders.some((order) => order.startsWith('depart')))
      if (wish === 'deleted') await cloud.delete(vmId)
      else await cloud.change(vmId, { desired: 'stopped', stopMode: 'kill' })
      await letItEnd(cloud)
      assert.deepEqual([cloud.agents.runningOn(vmId), cloud.agents.twoWriters], [[], []])
      if (wish === 'deleted') assert.deepEqual(await cloud.leftovers(), [])
      else assert.deepEqual([cloud.vm(vmId)?.status?.state, cloud.vm(vmId)?.migration], ['stopped', undefined])
      await cloud[Symbol.asyncDispose]()
    })
  }

  for (const lost of ['source', 'destination'] as const) {
    for (const moment of ['depart', 'followDeparture', 'completeArrival'] as const) {
      test(`whose ${lost} is lost at ${moment} ends with one machine, started elsewhere only on a proof`, async () => {
        const { cloud, vmId, home, other } = await startMoving(['ada', 'bob', 'cyd'])
        const name = lost === 'source' ? home : other
        let isLost = false
        cloud.agents.intercept = (call, at) => {
          if (call !== moment || at !== 'after' || isLost) return
          isLost = true
          cloud.agents.host(name).isCut = true
        }
        await move(cloud, vmId, other)
        await cloud.clock.until(
          'the machine runs and nothing is open',
          () => isSettledWithout(cloud, vmId, name),
          120_000,
        )
        assert.deepEqual([isLost, cloud.agents.twoWriters], [true, []])
        cloud.agents.host(name).isCut = false
        await letItEnd(cloud)
        assertOneOwner(cloud, vmId)
        await cloud[Symbol.asyncDispose]()
      })
    }
  }

  const settled = (cloud: Cloud, vmId: VmId) => cloud.vm(vmId)?.status?.state === 'running'
  function isSettledWithout(cloud: Cloud, vmId: VmId, name: string): boolean {
    const on = cloud.agents.runningOn(vmId)
    return settled(cloud, vmId) && cloud.vm(vmId)?.migration === undefined && on.length === 1 && on[0] !== name
  }

  for (const side of ['source', 'destination'] as const) {
    test(`whose agent at its ${side} is restarted in the middle ends with exactly one machine that runs`, async () => {
      const { cloud, vmId, home, other } = await startMoving(['ada', 'bob'], 'local')
      let isRestarted = false
      cloud.agents.intercept = (call, at) => {
        if (call !== 'followDeparture' || at !== 'after' || isRestarted) return
        isRestarted = true
        cloud.agents.restartAgent(side === 'source' ? home : other)
      }
      await move(cloud, vmId, other)
      await letItEnd(cloud)
      assert.equal(isRestarted, true)
      assert.equal(assertOneOwner(cloud, vmId), home)
      await cloud[Symbol.asyncDispose]()
    })
  }
})
