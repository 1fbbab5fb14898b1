import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  hostIdOf,
  makeCluster,
  makeHost,
  makeReport,
  makeStorage,
  sharedId,
  someTime,
  storageIdOf,
} from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Introduction } from '../../model/rebuild/testimony.ts'
import { defaultTimings } from '../../model/timings.ts'
import { gatherTestimony, type Witnesses } from './gather-testimony.ts'
import { createIntroductions } from './introductions.ts'

const shared = {
  storageId: sharedId,
  name: 'shared',
  kind: 'directory',
  path: '/srv/shared',
  shared: true,
  slot: 2,
} as const
const local = { ...shared, storageId: storageIdOf('ada'), name: 'local', path: '/srv/ada', shared: false }

function introduction(hostName: string, changes: Partial<Introduction> = {}): Introduction {
  const configuration = {
    ...{ revision: 1, clusterId: makeCluster().cluster.id, timings: defaultTimings, network: null, networks: [] },
    ...{ storages: [shared, local], firewall: { groups: [], machines: [] } },
  }
  return { hostName, address: '10.0.0.1', port: 7001, configuration, ...changes }
}

function gather(witnesses: Partial<Witnesses>, introduced: readonly string[], cluster = makeCluster({ storages: [] })) {
  const introductions = createIntroductions()
  for (const name of introduced) introductions.note(hostIdOf(name), introduction(name))
  const asked: Witnesses = {
    inventory: async () => ({ machines: [] }),
    storageContents: async () => ({ volumes: [] }),
    ...witnesses,
  }
  return gatherTestimony(cluster, { witnesses: asked, introductions: introductions.list(), at: someTime })
}

const refused = new DialtoneError('storage-failed', 'it is not mounted')

test('a stranger is asked under the number that it was told once, and its storages are as it was told them', async () => {
  const reports = [makeReport('web')]
  const { hosts, storages, unread } = await gather({ inventory: async () => ({ machines: reports }) }, ['ada'])
  assert.deepEqual(
    hosts.map(({ host, reports: its }) => [host.name, host.number, its]),
    [['ada', 2, reports]],
  )
  assert.deepEqual(
    storages.map(({ storage }) => [storage.id, storage.shared, storage.hostId]),
    [
      [sharedId, true, null],
      [storageIdOf('ada'), false, hostIdOf('ada')],
    ],
  )
  assert.deepEqual(unread, [])
})

test('a shared storage is read once, by the first host that can', async () => {
  const asked: string[] = []
  const storageContents: Witnesses['storageContents'] = async (host, storageId) => {
    asked.push(`${host.name} ${storageId}`)
    if (host.name === 'ada') throw refused
    return { volumes: [] }
  }
  const { storages, unread } = await gather({ storageContents }, ['ada', 'bob', 'carol'])
  assert.deepEqual(storages.map(({ storage, readBy }) => [storage.id, readBy])[0], [sharedId, hostIdOf('bob')])
  assert.equal(asked.filter((one) => one.endsWith(sharedId)).join(), `ada ${sharedId},bob ${sharedId}`)
  assert.deepEqual(unread, [])
})

test('a host that does not answer is told of as silent, and what only it has as unread', async () => {
  const inventory: Witnesses['inventory'] = () => Promise.reject(new DialtoneError('host-unreachable', 'it is off'))
  const { hosts, storages, unread } = await gather({ inventory }, ['ada'])
  assert.deepEqual([hosts.map(({ reports }) => reports), storages], [[undefined], []])
  assert.deepEqual([...new Set(unread.map(({ why }) => why))], ['no host that has it answers'])
  const failing = await gather({ storageContents: () => Promise.reject(refused) }, ['ada'])
  assert.equal(failing.unread[0]?.why, 'ada: it is not mounted')
})

test('hosts that the state knows are asked as they are known, and introduce themselves to nobody', async () => {
  const cluster = makeCluster({ hosts: [makeHost('ada')], storages: [makeStorage('shared')] })
  const { hosts, storages } = await gather({}, ['ada'], cluster)
  assert.deepEqual(
    hosts.map(({ host, introduction: told }) => [host.name, told]),
    [['ada', null]],
  )
  assert.deepEqual(
    storages.map(({ storage }) => storage.name),
    ['shared'],
  )
})
