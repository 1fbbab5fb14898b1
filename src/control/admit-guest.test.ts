import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClusterParts, makeCluster, someTime, tinyTemplate } from '../model/cluster-state.fixture.ts'
import { isoIdSchema, templateIdSchema } from '../model/ids.ts'
import { admitGuest, type GuestQuestion } from './admit-guest.ts'

const installer = {
  id: isoIdSchema.parse('iso-aaaaaaaa'),
  name: 'installer',
  bytes: 1,
  sha256: '',
  importedAt: someTime,
  directory: '/srv/isos/iso-aaaaaaaa',
}
const blank = {
  ...tinyTemplate,
  id: templateIdSchema.parse('tpl-blank000'),
  name: 'blank',
  boot: 'firmware' as const,
  os: 'other' as const,
  rootDiskMiB: 1,
  canResume: false,
  readiness: null,
}
const wish: GuestQuestion = { disks: [], recovery: { mode: 'boot' }, rootDiskMiB: 1024, isos: ['installer'] }
const admit = (
  changes: Partial<GuestQuestion> = {},
  template = blank as typeof tinyTemplate,
  parts: ClusterParts = {},
) => admitGuest(makeCluster({ isos: [installer], ...parts }), { ...wish, ...changes }, template)
const refusal = (...given: Parameters<typeof admit>) => {
  const answer = admit(...given)
  return answer.kind === 'refused' ? `${answer.code}: ${answer.message}` : answer.kind
}

test('a wish becomes a guest with its discs by id, and a root disk of the size that was asked for', () => {
  const answer = admit()
  assert(answer.kind === 'admitted')
  assert.deepEqual([answer.cdroms, answer.rootDiskMiB, answer.guest.boot], [[installer.id], 1024, 'bios'])
})

test('what can’t be is refused with what would do', () => {
  assert.match(refusal({ isos: ['other'] }), /^not-found: there is no disc other/)
  assert.match(refusal({ isos: ['installer', 'installer', 'installer'] }), /^invalid-input: a machine has 2 drives/)
  assert.match(refusal({}, tinyTemplate), /tiny is started with a kernel of its own/)
  assert.match(refusal({ rootDiskMiB: undefined }), /--root-disk/)
  assert.match(refusal({ rootDiskMiB: 10, isos: [] }, tinyTemplate), /can only be larger/)
  assert.match(refusal({ disks: { length: 6 } }), /at most 6 disks/)
  assert.equal(refusal({ disks: { length: 6 }, guest: { devices: 'virtio' } }), 'admitted')
  assert.match(refusal({ recovery: { mode: 'warm' }, guest: { tpm: true } }), /^image-unfit: .*TPM.*booting/)
})
