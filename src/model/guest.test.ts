import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type GuestWish,
  guestOsSchema,
  guestProfiles,
  hasStateBesideDisk,
  kernelGuest,
  refuseMemoryImages,
  refuseMove,
  refuseRootCopy,
  refuseSupport,
  resolveGuest,
} from './guest.ts'

const disk = { name: 'any', boot: 'firmware', os: 'linux' } as const
const resolved = (wish: GuestWish, template: Parameters<typeof resolveGuest>[1] = disk) => {
  const guest = resolveGuest(wish, template)
  assert(typeof guest !== 'string', String(guest))
  return guest
}

test('a template says what it is, its owner may say otherwise, and the rest comes from that system’s profile', () => {
  assert.deepEqual(resolved({}), { os: 'linux', ...guestProfiles.linux })
  assert.deepEqual(resolved({}, { ...disk, os: 'windows' }), { os: 'windows', ...guestProfiles.windows })
  const mixed = resolved({ os: 'windows', tpm: false, devices: 'virtio' })
  assert.deepEqual([mixed.tpm, mixed.devices, mixed.secureBoot, mixed.clock], [false, 'virtio', true, 'localtime'])
})

test('what is started with a kernel has no firmware, and says so when it is asked for', () => {
  const tiny = { name: 'tiny', boot: 'kernel', os: 'linux' } as const
  assert.deepEqual(resolveGuest({}, tiny), kernelGuest)
  assert.deepEqual(resolveGuest({ tpm: false, firmware: undefined }, tiny), kernelGuest)
  assert.match(String(resolveGuest({ firmware: 'uefi' }, tiny)), /^tiny is started with a kernel of its own/)
})

test('secure boot goes with UEFI only: a profile gives it up with BIOS, an owner who insists is refused', () => {
  assert.equal(resolved({ os: 'windows', firmware: 'bios' }).secureBoot, false)
  assert.match(String(resolveGuest({ firmware: 'bios', secureBoot: true }, disk)), /--firmware uefi/)
})

test('each profile is whole and consistent: what it needs of a host is named', () => {
  for (const os of guestOsSchema.options) {
    const guest = { os, ...guestProfiles[os] }
    assert.notEqual(guest.boot, 'kernel')
    assert.equal(refuseSupport(guest, ['uefi', 'secure-boot', 'tpm']), undefined)
  }
  assert.match(refuseSupport(resolved({ os: 'windows' }), ['uefi', 'tpm']) ?? '', /secure boot \(Debian package ovmf\)/)
  assert.match(refuseSupport(resolved({ firmware: 'uefi' }), []) ?? '', /no UEFI firmware \(Debian package ovmf\)/)
  assert.match(refuseSupport(resolved({ tpm: true }), ['uefi']) ?? '', /Debian package swtpm/)
  assert.equal(refuseSupport(resolved({}), []), undefined)
})

test('what lies beside the disk speaks against images of memory, and against moves where it can’t be reached', () => {
  assert.equal(refuseMemoryImages(kernelGuest), undefined)
  assert.equal(refuseMemoryImages(resolved({})), undefined)
  assert.match(refuseMemoryImages(resolved({ firmware: 'uefi' })) ?? '', /variables of its firmware/)
  assert.match(refuseMemoryImages(resolved({ tpm: true })) ?? '', /TPM/)
  assert.equal(refuseMove(resolved({ firmware: 'uefi' })), undefined)
  assert.match(refuseMove(resolved({ tpm: true })) ?? '', /TPM/)
  assert.deepEqual([kernelGuest, resolved({ firmware: 'uefi' }), resolved({ tpm: true })].map(hasStateBesideDisk), [
    false,
    true,
    true,
  ])
  assert.equal(refuseRootCopy(resolved({})), undefined)
  for (const wish of [{ firmware: 'uefi' }, { tpm: true }] as const)
    assert.match(refuseRootCopy(resolved(wish)) ?? '', /would leave it behind/)
})
