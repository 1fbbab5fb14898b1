import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ClusterParts, hostIdOf, makeCluster, makeHost, makeVm } from '../../model/cluster-state.fixture.ts'
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

test('one with a local disk can only be stopped', () => {
  const bound = makeVm('bound', { on: 'ada', status: {}, spec: { ha: false, boundToHostId: ada } })
  assert.match(
    plan([bound], { restartElsewhere: true }).moves[0]?.reason ?? '',
    /local to this host: stop it with dialtone vm stop bound/,
  )
  assert.deepEqual(ways([bound], { stop: true }), [['bound', 'stop', null]])
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
