/**
 * What a guest wants of its virtual hardware besides processors, memory and disks: how it is started, and what its operating system knows to
 * use. Resolved from a profile when the VM is made and kept with it, so that a change of a profile changes no machine that exists.
 */
import { z } from 'zod'

export const guestOsSchema = z.enum(['linux', 'windows', 'other'])
export type GuestOs = z.infer<typeof guestOsSchema>

export const firmwareSchema = z.enum(['bios', 'uefi'])
export type Firmware = z.infer<typeof firmwareSchema>

export const guestSchema = z.object({
  os: guestOsSchema,
  /** `kernel`: with its template's kernel, past any firmware; else by this firmware, from its disk or a disc. */
  boot: z.enum(['kernel', ...firmwareSchema.options]),
  /** The firmware starts only what is signed by a key that it knows: Microsoft's. */
  secureBoot: z.boolean(),
  tpm: z.boolean(),
  /** A graphics card and an input device, to be seen by VNC. */
  display: z.boolean(),
  /** `virtio`: needs its drivers; `emulated`: SATA and Intel's e1000e, which every system knows. */
  devices: z.enum(['virtio', 'emulated']),
  /** What its hardware clock shows. */
  clock: z.enum(['utc', 'localtime']),
  /** Tells it by Hyper-V's interface that it is a guest (under KVM). */
  hyperV: z.boolean(),
})
export type Guest = z.infer<typeof guestSchema>

/** Started with its template's kernel: all machines of before there was a choice. */
export const kernelGuest: Guest = {
  os: 'linux',
  boot: 'kernel',
  secureBoot: false,
  tpm: false,
  display: false,
  devices: 'virtio',
  clock: 'utc',
  hyperV: false,
}

/** What such a system has without a word of its owner. */
export const guestProfiles: Readonly<Record<GuestOs, Omit<Guest, 'os'>>> = {
  linux: { ...kernelGuest, boot: 'bios' },
  windows: {
    boot: 'uefi',
    secureBoot: true,
    tpm: true,
    display: true,
    devices: 'emulated',
    clock: 'localtime',
    hyperV: true,
  },
  other: { ...kernelGuest, boot: 'bios', display: true, devices: 'emulated' },
}

/** What its owner says; the rest comes from the profile. */
export const guestWishSchema = z.strictObject({
  os: guestOsSchema.optional(),
  firmware: firmwareSchema.optional(),
  secureBoot: z.boolean().optional(),
  tpm: z.boolean().optional(),
  display: z.boolean().optional(),
  devices: guestSchema.shape.devices.optional(),
})
export type GuestWish = z.infer<typeof guestWishSchema>

export type GuestTemplate = {
  readonly name: string
  readonly boot: 'kernel' | 'firmware'
  readonly os: GuestOs
  /** What the machine had that it was made from, if it was. */
  readonly guest?: Guest | null
}

/** The guest that is wished for, or in a sentence why there is none such. */
export function resolveGuest(wish: GuestWish, template: GuestTemplate): Guest | string {
  if (template.boot === 'kernel') return resolveKernelGuest(wish, template)
  const os = wish.os ?? template.os
  const profile = os === template.guest?.os ? template.guest : guestProfiles[os]
  const boot = wish.firmware ?? profile.boot
  const guest: Guest = {
    ...profile,
    os,
    boot,
    secureBoot: wish.secureBoot ?? (profile.secureBoot && boot === 'uefi'),
    tpm: wish.tpm ?? profile.tpm,
    display: wish.display ?? profile.display,
    devices: wish.devices ?? profile.devices,
  }
  if (guest.secureBoot && boot !== 'uefi')
    return 'secure boot is a matter of UEFI: leave it out, or take --firmware uefi'
  return guest
}

function resolveKernelGuest(wish: GuestWish, { name }: GuestTemplate): Guest | string {
  const isAsked = Object.values(wish).some((value) => value !== undefined && value !== false)
  if (!isAsked) return kernelGuest
  return `${name} is started with a kernel of its own and has no boot loader on its disk: firmware, TPM, display and devices are for templates that boot from their disk`
}

/** What a host has to have for some guests, besides QEMU itself. */
export const guestSupportSchema = z.enum(['uefi', 'secure-boot', 'tpm'])
export type GuestSupport = z.infer<typeof guestSupportSchema>

/** What a host lacks for this guest, in a sentence; undefined when it lacks nothing. */
export function refuseSupport(guest: Guest, has: readonly GuestSupport[]): string | undefined {
  const firmware = guest.secureBoot ? 'secure-boot' : 'uefi'
  if (guest.boot === 'uefi' && !has.includes(firmware))
    return `it has no UEFI firmware${guest.secureBoot ? ' with secure boot' : ''} (Debian package ovmf)`
  if (guest.tpm && !has.includes('tpm')) return 'it has no software TPM (Debian package swtpm)'
  return undefined
}

/** Why a machine can't be resumed from memory, whatever its template; undefined when it can. */
export function refuseMemoryImages({ boot, tpm }: Guest): string | undefined {
  if (tpm) return 'the state of its TPM is a file of its own, which no image of its memory takes along'
  if (boot === 'uefi')
    return 'the variables of its firmware are a file that one process at a time may hold, and a process that waits to take over would hold it, too'
  return undefined
}

/** Whether files beside its root disk belong to its state: what its firmware and its TPM remember. */
export function hasStateBesideDisk({ boot, tpm }: Guest): boolean {
  return boot === 'uefi' || tpm
}

/** Secure boot's firmware dies of a memory that does not end at a whole MiB (seen with OVMF 2022.11). */
export function needsEvenMemory(guest: Guest | undefined): boolean {
  return guest?.secureBoot === true
}

/** Memory of a size whose changes QEMU misses under emulation before 9.0 (see `guestMemoryKiB`); undefined when there is none. */
export function unloggedMemory(guest: Guest): string | undefined {
  if (needsEvenMemory(guest)) return 'its memory, which has an even size for its firmware'
  return guest.display ? 'the memory of its graphics card' : undefined
}

/** Why a machine can't move while it runs, whatever the hosts; undefined when it can. */
export function refuseMove({ tpm }: Guest): string | undefined {
  return tpm ? 'its TPM keeps its state beside the disk, where only one host may write' : undefined
}

/** Why its root disk can't go to another storage, with it or alone; undefined when it can. */
export function refuseRootCopy(guest: Guest): string | undefined {
  if (!hasStateBesideDisk(guest)) return undefined
  return 'what its firmware and TPM remember lies beside its root disk, and a copy of the disk would leave it behind'
}
