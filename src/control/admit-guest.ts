/** What of a wish for a VM is about its guest: how it boots, the discs in its drives, the size of its root disk. Pure. */
import type { CloudInit } from '../model/cloud-init.ts'
import type { TemplateSpec } from '../model/cluster.ts'
import type { ClusterState } from '../model/cluster-state.ts'
import type { ErrorCode } from '../model/dialtone-error.ts'
import { type Guest, type GuestWish, refuseMemoryImages, resolveGuest } from '../model/guest.ts'
import { cdromDrives, type IsoSpec } from '../model/iso.ts'
import { blankTemplate } from '../model/template-manifest.ts'
import type { VmSpec } from '../model/vm.ts'

export type GuestAdmission =
  | {
      readonly kind: 'admitted'
      readonly guest: Guest
      readonly cdroms: VmSpec['cdroms']
      readonly cloudInit: CloudInit | null
      readonly rootDiskMiB: number
    }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }

export type GuestQuestion = {
  readonly guest?: GuestWish | undefined
  /** Names or ids of the discs that are in its drives at first. */
  readonly isos?: readonly string[] | undefined
  readonly cloudInit?: CloudInit | null | undefined
  /** Undefined: as large as the template's. */
  readonly rootDiskMiB?: number | undefined
  readonly disks: { readonly length: number }
  readonly recovery: { readonly mode: string }
}

/** SATA has six ports to a controller. */
const maximumEmulatedDisks = 6

export function admitGuest(cluster: ClusterState, wish: GuestQuestion, template: TemplateSpec): GuestAdmission {
  const refused = (code: ErrorCode, message: string) => ({ kind: 'refused', code, message }) as const
  const guest = resolveGuest(wish.guest ?? {}, template)
  if (typeof guest === 'string') return refused('invalid-input', guest)
  const isos = wish.isos ?? []
  if (isos.length > 0 && guest.boot === 'kernel')
    return refused('invalid-input', `${template.name} is started with a kernel of its own, and has no drive for a disc`)
  if (isos.length > cdromDrives) return refused('invalid-input', `a machine has ${cdromDrives} drives for discs`)
  const found = isos.map((iso) => findIso(cluster, iso))
  const missing = found.indexOf(undefined)
  if (missing >= 0) return refused('not-found', `there is no disc ${isos[missing]}: dialtone iso list shows all`)
  if (guest.devices === 'emulated' && wish.disks.length >= maximumEmulatedDisks)
    return refused('invalid-input', `a machine without virtio drivers has at most ${maximumEmulatedDisks} disks`)
  const unfit = wish.recovery.mode === 'boot' ? undefined : refuseMemoryImages(guest)
  if (unfit !== undefined)
    return refused('image-unfit', `it can't recover from memory: ${unfit}; let it recover by booting`)
  if (template.name === blankTemplate && wish.rootDiskMiB === undefined)
    return refused(
      'invalid-input',
      'say how large its empty disk is to be (--root-disk), or what it is made from (--template)',
    )
  const { rootDiskMiB = template.rootDiskMiB } = wish
  if (rootDiskMiB < template.rootDiskMiB)
    return refused(
      'invalid-input',
      `the root disk of ${template.name} has ${template.rootDiskMiB} MiB: it can only be larger`,
    )
  return {
    kind: 'admitted',
    guest,
    cdroms: found.map((iso) => iso?.id ?? null),
    cloudInit: wish.cloudInit ?? null,
    rootDiskMiB,
  }
}

/** By name or id. */
export function findIso({ isos }: ClusterState, reference: string): IsoSpec | undefined {
  return [...isos.values()].find(({ name, id }) => name === reference || id === reference)
}
