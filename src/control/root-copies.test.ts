import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  hostIdOf,
  makeCluster,
  makeHost,
  makeStorage,
  makeVm,
  sharedId,
  someTime,
  storageIdOf,
  volumeIdOf,
} from '../model/cluster-state.fixture.ts'
import { type Guest, guestProfiles } from '../model/guest.ts'
import { admitMigration } from './admit-migration.ts'
import { admitVolumeMove } from './admit-volume-move.ts'

const bios: Guest = { os: 'linux', ...guestProfiles.linux }
const uefi: Guest = { ...bios, boot: 'uefi' }

/** On ada's own storage, with room on bob's and on the shared one. */
function arrange(guest: Guest) {
  const host = (name: string) =>
    makeHost(name, {
      status: {
        guestSupport: ['uefi'],
        storageIds: [sharedId, storageIdOf(name)],
        storageRoom: [sharedId, storageIdOf(name)].map((storageId) => ({ storageId, freeMiB: 10_000 })),
      },
    })
  const own = (name: string) =>
    makeStorage(name, { id: storageIdOf(name), name: 'local', shared: false, hostId: hostIdOf(name) })
  const disk = (word: string) =>
    ({ volumeId: volumeIdOf(word), storageId: storageIdOf('ada'), format: 'qcow2', sizeMiB: 100 }) as const
  const spec = { ha: false, boundToHostId: hostIdOf('ada'), disks: [disk('root'), disk('data')], guest }
  const vm = makeVm('web', { on: 'ada', status: { state: 'running' }, spec })
  const storages = [makeStorage('shared'), own('ada'), own('bob')]
  return { vm, cluster: makeCluster({ hosts: [host('ada'), host('bob')], vms: [vm], storages }) }
}

const described = (verdict: { readonly kind: string; readonly message?: string }) => verdict.message ?? verdict.kind

function moveVolume(guest: Guest, word: string): string {
  const { vm, cluster } = arrange(guest)
  const volume = cluster.volumes.get(volumeIdOf(word))
  const to = cluster.storages.get(sharedId)
  assert(volume !== undefined && to !== undefined)
  return described(admitVolumeMove(cluster, { vm, volume: { ...volume, createdAt: someTime }, to }))
}

test('a move that takes the root disk along leaves nothing behind that firmware remembers: it is refused', () => {
  const move = (guest: Guest) => {
    const { vm, cluster } = arrange(guest)
    return described(admitMigration(cluster, vm))
  }
  assert.equal(move(bios), 'admitted')
  assert.match(move(uefi), /^web can't move while it runs: what its firmware and TPM remember/)
})

test('the root disk of such a machine stays on its storage; other disks of it may go', () => {
  assert.equal(moveVolume(bios, 'root'), 'admitted')
  assert.match(moveVolume(uefi, 'root'), /^the root disk of web can't be moved: what its firmware and TPM remember/)
  assert.match(moveVolume({ ...bios, tpm: true }, 'root'), /can't be moved/)
  assert.doesNotMatch(moveVolume(uefi, 'data'), /firmware/)
})
