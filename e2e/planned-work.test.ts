/** Rules of placement, plan, reserve and maintenance on real hosts and guests. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { waitForAnswer } from '../src/cli/demo/http-probe.ts'
import { readDump } from '../src/control/plan/dump-cluster.ts'
import { planCluster } from '../src/control/plan/plan-cluster.ts'
import type { VmView } from '../src/model/api/views.ts'
import { DialtoneError } from '../src/model/dialtone-error.ts'
import type { PlacementRules } from '../src/model/placement-rules.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'

let laboratory: OpenLaboratory
before(async () => {
  laboratory = await openLaboratory('e2e-plan', ['--hosts', '3'])
})
after(() => laboratory?.[Symbol.asyncDispose]())

const app = { key: 'app', value: 'web' }
const placementRules: PlacementRules = {
  labels: { app: 'web' },
  rules: [{ kind: 'apart-from-machines', label: app, strength: 'required' }],
  spread: null,
}

async function create(name: string): Promise<VmView> {
  const { api } = laboratory
  const { task } = await api.call('createVm', { body: { name, template: 'tiny', ha: true, placementRules } })
  await laboratory.untilTaskEnds(task.id)
  const vm = await api.call('getVm', { params: { vm: name } })
  await waitForAnswer({ address: vm.address, name }, { deadlineMs: 60_000 })
  return api.call('getVm', { params: { vm: name } })
}

test('machines keep apart, the plan says what a loss would do, and a host is emptied and given back', async () => {
  const { api } = laboratory
  const [one, two] = [await create('web1'), await create('web2')]
  assert.notEqual(one.hostName, two.hostName)
  const host = one.hostName ?? ''

  const live = await api.call('getPlan', { query: { ifHostDies: host } })
  const [recovered] = live.ifHostDies?.recovered ?? []
  assert.equal(recovered?.vmName, 'web1')
  assert.ok(![host, two.hostName].includes(recovered?.toHostName ?? ''))
  const planned = readDump(await api.call('dumpCluster', {}))
  const hostId = [...planned.cluster.hosts.values()].find(({ spec }) => spec.name === host)?.spec.id
  assert.ok(hostId)
  assert.deepEqual(planCluster(planned, { ifHostDies: hostId }).ifHostDies?.recovered, live.ifHostDies?.recovered)

  // Two hosts at once would leave the two of them one host, and they have to be apart.
  await api.call('setReserve', { body: { hostFailuresToTolerate: 2 } })
  const refused = (error: unknown) => error instanceof DialtoneError && error.code === 'reserve-broken'
  await assert.rejects(create('web3'), refused)
  await api.call('setReserve', { body: { hostFailuresToTolerate: 0 } })

  const { task } = await api.call('beginMaintenance', { params: { host }, body: { restartElsewhere: true } })
  await laboratory.untilTaskEnds(task.id)
  const moved = await api.call('getVm', { params: { vm: 'web1' } })
  assert.equal(moved.hostName, recovered?.toHostName)
  assert.equal(moved.status.state, 'running')
  assert.equal((await api.call('getHost', { params: { host } })).status.state, 'maintenance')
  const ended = await api.call('endMaintenance', { params: { host } })
  assert.equal(ended.host.status.state, 'online')
})
