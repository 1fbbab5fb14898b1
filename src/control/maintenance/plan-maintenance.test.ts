import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type ClusterParts,
  hostIdOf,
  makeCluster,
  makeHost,
  makeStorage,
  makeVm,
} from '../../model/cluster-state.fixture.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { placeVm } from '../place-vm.ts'
import { type EvacuationWish, planMaintenance } from './plan-maintenance.ts'

const ada = hostIdOf('ada')
const movable: EvacuationWish = { stop: false, restartElsewhere: false, obstacleToMigration: () => undefined }
const small = (name: string) => makeHost(name, { status: { memoryMiB: 1_100 } })
const onAda = (name: string, memoryMiB = 952) => makeVm(name, { on: 'ada', status: {}, spec: { memoryMiB } })
function plan(vms: readonly VmRecord[], wish: Partial<EvacuationWish> = {}, parts: ClusterParts = {}) {
  const hosts = [makeHost('ada'), small('bob'), small('cyd')]
  return planMaintenance(makeCluster({ hosts, vms, ...parts }), ada, { ...movable, ...wish })
}
const ways = (...given: Parameters<typeof plan>) =>
  plan(...given).moves.map(({ vmName, way, toHostName }) => [vmName, way, toHostName])

test('machines that can move do, the big ones first, each where there is room after those before it', () => {
  assert.deepEqual(ways([onAda('one'), onAda('big', 1_000)]), [
    ['big', 'migrate', 'bob'],
    ['one', 'migrate', 'cyd'],
  ])
})

test('one that fits nowhere is refused, with the reason of each host that is left', () => {
  const [, , last] = plan([onAda('one'), onAda('three'), onAda('two')]).moves
  assert.deepEqual([last?.vmName, last?.way], ['two', 'refused'])
  assert.deepEqual(
    last?.refusals.map(({ hostName }) => hostName),
    ['bob', 'cyd'],
  )
  assert.match(last?.reason ?? '', /no other host takes it: bob: needs 1000 MiB .*; cyd: needs/)
})

describe('one that cannot be moved while it runs', () => {
  const wish = { obstacleToMigration: () => 'its console is open' }

  test('is refused, and says what could be done', () => {
    assert.match(
      plan([onAda('one')], wish).moves[0]?.reason ?? '',
      /its console is open: .*--restart-elsewhere.*--stop/,
    )
  })

  test('is restarted elsewhere, or stopped, if that is allowed', () => {
    assert.deepEqual(ways([onAda('one')], { ...wish, restartElsewhere: true, stop: true }), [
      ['one', 'restart-elsewhere', 'bob'],
    ])
    assert.deepEqual(ways([onAda('one')], { ...wish, stop: true }), [['one', 'stop', null]])
  })
})

describe('one with a local disk', () => {
  const own = (name: string) => makeStorage(name, { name: 'local', shared: false, hostId: hostIdOf(name) })
  const bound = (name: string, status = {}) =>
    makeVm(name, {
      on: 'ada',
      status,
      spec: { ha: false, boundToHostId: ada },
      storage: own('ada').id,
    })
  const withRoom = (freeMiB: number) => {
    const bob = { storageIds: [own('bob').id], storageRoom: [{ storageId: own('bob').id, freeMiB }] }
    return {
      hosts: [makeHost('ada', { status: { storageIds: [own('ada').id] } }), makeHost('bob', { status: bob })],
      storages: [own('ada'), own('bob')],
    }
  }

  test('takes it along, where there is room for it beside those of the others', () => {
    assert.deepEqual(ways([bound('one'), bound('two')], {}, withRoom(150)), [
      ['one', 'migrate', 'bob'],
      ['two', 'refused', null],
    ])
    assert.match(plan([bound('one')], {}, withRoom(150)).moves[0]?.reason ?? '', /^its disks go with it; bob fits best/)
  })

  test('that finds no room, or does not run, says so and what can be done, and is never started elsewhere', () => {
    const reason = plan([bound('one')], { restartElsewhere: true }, withRoom(50)).moves[0]?.reason ?? ''
    assert.match(reason, /local to this host, and no other host takes it with its disks: bob: .*room for a disk of 100/)
    assert.match(reason, /stop it with dialtone vm stop one, or all such machines with --stop$/)
    assert.deepEqual(ways([bound('one')], { stop: true }, withRoom(50)), [['one', 'stop', null]])
    const wish = { restartElsewhere: true, obstacleToMigration: () => 'it is paused' }
    assert.deepEqual(ways([bound('one')], wish, withRoom(150)), [['one', 'refused', null]])
  })
})

test('what is stopped already is not there, and what is stopping or down by itself is let go', () => {
  const stopped = makeVm('a', { on: 'ada', spec: { desired: 'stopped' }, status: { state: 'stopped' } })
  const stopping = makeVm('b', { on: 'ada', spec: { desired: 'stopped' }, status: { state: 'stopping' } })
  const failed = makeVm('c', { on: 'ada', status: { state: 'failed' } })
  assert.deepEqual(ways([stopped, stopping, failed]), [
    ['b', 'leaves', null],
    ['c', 'leaves', null],
  ])
})

test('the plan warns when the reserve would not be whole meanwhile', () => {
  const vms = [onAda('one')]
  assert.deepEqual(plan(vms, {}, { hostFailuresToTolerate: 1 }).warnings, [])
  const two = { hosts: [makeHost('ada'), small('bob')], hostFailuresToTolerate: 1 }
  assert.match(
    plan(vms, {}, two).warnings[0] ?? '',
    /^meanwhile the reserve for the failure of 1 host is not whole: if bob died/,
  )
})

test('a host in maintenance takes no machine, and says so', () => {
  const maintenance = { since: '2026-01-01T00:00:00.000Z', user: 'ada', stoppedVmIds: [] }
  const { verdicts } = placeVm(makeCluster({ hosts: [makeHost('ada', { spec: { maintenance } })] }), makeVm('new').spec)
  assert.equal(verdicts[0]?.reason, 'it is in maintenance')
})
