import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type ClusterParts,
  makeCluster,
  makeHost,
  makeVm,
  sharedId,
  someTime,
  vmIdOf,
  volumeIdOf,
} from '../../model/cluster-state.fixture.ts'
import { type NetworkId, networkIdSchema } from '../../model/ids.ts'
import { makeNetwork } from '../../model/network.fixture.ts'
import { cardFields, networksOf } from '../../model/network.ts'
import { type CloneSetWish, planCloneSet } from './plan-clone-set.ts'

const web = makeVm('web', { spec: { address: '10.0.0.12', tags: ['shop'] } })
const db = makeVm('db', { spec: { address: '10.0.0.11' } })
const inNetwork = (networkId: NetworkId, address: string) =>
  cardFields({ number: 0, networkId, macAddress: '52:00:05:05:00:05', address, address6: null, mtu: null }, [])
const newId = networkIdSchema.parse('net-cccccccc')
const isolated = { kind: 'isolated', name: 'test' } as const

function plan(changes: Partial<CloneSetWish> = {}, parts: ClusterParts = {}) {
  const { vms = [web, db] } = changes
  const cluster = makeCluster({ hosts: [makeHost('ada')], vms, ...parts })
  const members = vms.map(({ spec }) => ({
    ...{ vmId: vmIdOf(`new${spec.name}`), volumeIds: [volumeIdOf(`new${spec.name}`)] },
    ...{ generationId: '00000000-0000-4000-8000-000000000009', createdAt: someTime },
  }))
  const wish: CloneSetWish = { vms, target: isolated, prefix: '', suffix: '-copy', isStarted: true, ...changes }
  return planCloneSet(cluster, wish, { networkId: newId, members, createdAt: someTime })
}

const refusal = (...given: Parameters<typeof plan>) => {
  const answer = plan(...given)
  return answer.kind === 'refused' ? answer.message : answer.kind
}

test('each clone has the address of its origin, in a network of the same addresses that leads nowhere', () => {
  const planned = plan()
  assert.ok(planned.kind === 'planned', JSON.stringify(planned))
  assert.deepEqual(
    planned.members.map(({ name, address }) => [name, address]),
    [
      ['web-copy', '10.0.0.12'],
      ['db-copy', '10.0.0.11'],
    ],
  )
  const { network } = makeCluster()
  const { subnet, uplink } = planned.network ?? {}
  assert.deepEqual([subnet, uplink, planned.tag], [network?.subnet, 'none', 'set.test'])
})

test('into a network that there is they go only where nobody has their addresses', () => {
  const [flat] = networksOf(makeCluster())
  assert.ok(flat)
  assert.match(
    refusal({ target: { kind: 'network', network: flat } }),
    /^web-copy, the clone of web: 10.0.0.12 is taken in flat/,
  )
  const other = makeNetwork('dev', 5, { pool: flat.pool })
  const target = { kind: 'network', network: other } as const
  assert.equal(refusal({ target }, { networks: [other] }), 'planned')
  const taken = makeVm('sam', { spec: inNetwork(other.id, '10.0.0.11') })
  assert.match(
    refusal({ target }, { networks: [other], vms: [web, db, taken] }),
    /^db-copy, the clone of db: 10.0.0.11 is taken/,
  )
})

test('what can’t be cloned is refused by name: other networks, work on the disks, names that are taken or none', () => {
  const other = makeNetwork('dev', 5)
  const far = makeVm('far', { spec: inNetwork(other.id, '10.5.0.5') })
  assert.match(refusal({ vms: [web, far] }, { networks: [other] }), /^far has no card in flat, where web is/)
  const raw = makeVm('db', {
    spec: { disks: [{ ...{ volumeId: volumeIdOf('db'), storageId: sharedId }, format: 'raw', sizeMiB: 10 }] },
  })
  assert.match(refusal({ vms: [web, raw] }), /^db has a raw disk/)
  assert.match(refusal({ vms: [web, web] }), /^web is named twice/)
  assert.match(
    refusal({}, { vms: [web, db, makeVm('copy', { spec: { name: 'db-copy' } })] }),
    /^db-copy, the clone of db: a VM named db-copy exists/,
  )
  assert.match(refusal({ prefix: '-' }), /is no name/)
  assert.match(refusal({ target: { kind: 'isolated', name: 'flat' } }), /hosts' own network/)
  assert.match(refusal({ target: { kind: 'isolated', name: 'n'.repeat(39) } }), /too long/)
})

test('that their host has no room for all of them is found before anything is made', () => {
  const big = [web, db].map((vm) => ({ ...vm, spec: { ...vm.spec, memoryMiB: 1_000_000 } }))
  assert.match(refusal({ vms: big }), /no host can run web-copy/)
  const small = { hosts: [makeHost('ada', { status: { memoryMiB: 600 } })] }
  assert.match(refusal({}, small), /no host can run db-copy/)
  assert.equal(refusal({ isStarted: false }, small), 'planned')
})
