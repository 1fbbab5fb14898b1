import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  hostIdOf,
  makeCluster,
  makeHost,
  makeStorage,
  makeVm,
  storageIdOf,
  volumeIdOf,
} from '../../model/cluster-state.fixture.ts'
import { placeVm } from '../place-vm.ts'
import { type CopyWish, planDiskCopies } from './plan-disk-copies.ts'

const own = (word: string, host: string, name = 'local') =>
  makeStorage(word, { name, shared: false, hostId: hostIdOf(host) })
const storages = [makeStorage('shared'), own('ada', 'ada'), own('bob', 'bob'), own('fast', 'bob', 'fast')]
/** How much is free on each of its storages. */
const withRoom = (name: string, room: Readonly<Record<string, number>>) =>
  makeHost(name, {
    status: {
      storageIds: Object.keys(room).map(storageIdOf),
      storageRoom: Object.entries(room).map(([word, freeMiB]) => ({ storageId: storageIdOf(word), freeMiB })),
    },
  })
const ada = withRoom('ada', { shared: 1_000, ada: 1_000 })
const disk = (word: string, storage: string, sizeMiB = 100) =>
  ({ volumeId: volumeIdOf(word), storageId: storageIdOf(storage), format: 'qcow2', sizeMiB }) as const
const vm = (...disks: readonly ReturnType<typeof disk>[]) =>
  makeVm('web', { on: 'ada', spec: { ha: false, boundToHostId: hostIdOf('ada'), disks: [...disks] } })

function ask(
  room: Readonly<Record<string, number>>,
  { wish = {}, disks = [disk('root', 'ada')] }: { wish?: CopyWish; disks?: readonly ReturnType<typeof disk>[] } = {},
) {
  const bob = withRoom('bob', room)
  const web = vm(...disks)
  const cluster = makeCluster({ hosts: [ada, bob], vms: [web], storages })
  const plan = planDiskCopies(bob, web.spec, { cluster, wish })
  return plan.kind === 'refused' ? plan.reason : plan.copies.map(({ toStorageId }) => toStorageId.slice(3))
}

describe('a disk that only its host has', () => {
  test('goes to the other host’s storage of the same name, or to its own one with the most room', () => {
    assert.deepEqual(ask({ shared: 9_000, bob: 500, fast: 900 }), ['bob00000'])
    assert.deepEqual(ask({ shared: 9_000, bob: 50, fast: 900 }), ['fast0000'])
  })

  test('goes where it was asked to, also to shared storage', () => {
    const room = { shared: 9_000, bob: 500, fast: 900 }
    assert.deepEqual(ask(room, { wish: { storage: 'fast' } }), ['fast0000'])
    assert.deepEqual(ask(room, { wish: { storage: 'shared' } }), ['shared00'])
    assert.equal(ask(room, { wish: { storage: 'slow' } }), "it doesn't have the storage slow")
  })

  test('needs room for all that it may come to hold, beside the disks that go with it', () => {
    const disks = [disk('root', 'ada', 300), disk('data', 'ada', 300)]
    assert.deepEqual(ask({ bob: 500, fast: 300 }, { disks }), ['bob00000', 'fast0000'])
    assert.equal(
      ask({ bob: 500 }, { disks }),
      'no storage there has room for a disk of 300 MiB: local (200 MiB free); free some, or name another one with --storage',
    )
  })

  test('goes nowhere as long as nobody knows what is free there, and to no host without storage of its own', () => {
    const bob = makeHost('bob', { status: { storageIds: [storageIdOf('bob')] } })
    const web = vm(disk('root', 'ada'))
    const plan = planDiskCopies(bob, web.spec, { cluster: makeCluster({ hosts: [ada, bob], storages }) })
    assert.match(plan.kind === 'refused' ? plan.reason : '', /local \(not told yet\)/)
    assert.match(String(ask({ shared: 9_000 })), /declare one with dialtone storage create NAME --host bob --path PATH/)
  })

  test('leaves those on shared storage where they are, and that one has to be there', () => {
    const disks = [disk('root', 'ada'), disk('data', 'shared')]
    assert.deepEqual(ask({ shared: 50, bob: 500 }, { disks }), ['bob00000'])
    assert.equal(ask({ bob: 500 }, { disks }), "it doesn't have the storage shared")
  })
})

test('only who moves while it runs takes its disks along', () => {
  const web = vm(disk('root', 'ada'))
  const cluster = makeCluster({ hosts: [ada, withRoom('bob', { bob: 500 })], vms: [web], storages })
  const fits = (wishes: Parameters<typeof placeVm>[2]) =>
    placeVm(cluster, web.spec, wishes).verdicts.map(({ hostName, fits: does }) => [hostName, does])
  assert.deepEqual(fits({ bringsDisks: {} }), [
    ['ada', true],
    ['bob', true],
  ])
  assert.deepEqual(fits({}), [
    ['ada', true],
    ['bob', false],
  ])
})
