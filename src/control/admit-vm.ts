/** Turns a wish for a VM into everything that it is, or says why it can't be. Pure: ids, time and chance are arguments. */

import type { TemplateSpec } from '../model/cluster.ts'
import { type ClusterState, isOnSharedStorage } from '../model/cluster-state.ts'
import type { ErrorCode } from '../model/dialtone-error.ts'
import { noLimits, usualGrowth } from '../model/growth.ts'
import type { Guest } from '../model/guest.ts'
import type { PinnedHardware } from '../model/hardware.ts'
import { flatNetworkId, type HostId, type NetworkId, type StorageId, type VmId, type VolumeId } from '../model/ids.ts'
import type { CloneOrigin, DiskFormat } from '../model/machine-order.ts'
import { cardFields, flatNetworkName } from '../model/network.ts'
import { noPlacementRules, type PlacementRules } from '../model/placement-rules.ts'
import { type Probe, probeSchema } from '../model/recovery/probe.ts'
import type { Recovery } from '../model/recovery/recovery-policy.ts'
import type { Membership } from '../model/service/service.ts'
import type { StorageSpec } from '../model/storage.ts'
import type { VmSpec } from '../model/vm.ts'
import { admitGuest, type GuestQuestion } from './admit-guest.ts'
import { assignNics, type NicWish } from './networks/assign-nics.ts'
import { describeVerdicts, placeVm } from './place-vm.ts'
import { refuseByReserve } from './placement/judge-reserve.ts'
import { findTemplate } from './templates/admit-template.ts'

export type VmWish = GuestQuestion & {
  readonly name: string
  readonly template: string
  readonly cpus?: number | undefined
  readonly memoryMiB?: number | undefined
  readonly storage?: string | undefined
  /** On the storage of the root disk where none is named. */
  readonly disks: readonly { readonly sizeMiB: number; readonly format: DiskFormat; readonly storageId?: StorageId }[]
  readonly address?: string | undefined
  /** Its cards, the first one first; undefined or empty: one in the flat network, with `address` where that is given. */
  readonly networks?: readonly NicWish[] | undefined
  readonly host?: string | undefined
  readonly ha: boolean
  readonly autostart: boolean
  readonly startOrder: number
  readonly start: boolean
  readonly extraCommandLine: string
  readonly recovery: Recovery
  /** Undefined: what the template says. */
  readonly probe?: Probe | null | undefined
  readonly drillable: boolean
  readonly securityGroupIds?: VmSpec['securityGroupIds'] | undefined
  readonly placementRules?: PlacementRules | undefined
  readonly membership?: Membership | undefined
  /** Also when it breaks the reserve for failing hosts. */
  readonly isForced?: boolean | undefined
  /** For a clone: its machine has to be like the one that it is of. */
  readonly origin?: {
    /** The memory that it begins with; null: it boots. */
    readonly clonedFrom: CloneOrigin | null
    readonly hardware: PinnedHardware
    readonly rootDiskMiB: number
    readonly guest?: Guest
  }
}

export type NewIdentity = {
  readonly vmId: VmId
  /** One for the root disk and one for each further disk. */
  readonly volumeIds: readonly VolumeId[]
  readonly generationId: string
  readonly createdAt: string
}

export type Admission = { readonly kind: 'admitted'; readonly spec: VmSpec; readonly hostId: HostId } | Refusal
export type Refusal = {
  readonly kind: 'refused'
  readonly code: ErrorCode
  readonly message: string
  readonly detail?: unknown
}

export function admitVm(cluster: ClusterState, wish: VmWish, identity: NewIdentity): Admission {
  if ([...cluster.vms.values()].some(({ spec }) => spec.name === wish.name))
    return refuse('name-taken', `a VM named ${wish.name} exists`)
  const template = findTemplate(cluster, wish.template)
  if (template === undefined) return refuse('template-not-built', `there is no built template ${wish.template}`)
  const { memoryMiB = template.defaultMemoryMiB, cpus = template.defaultCpus } = wish
  const size = { cpus, memoryMiB }
  if (memoryMiB < template.minimumMemoryMiB)
    return refuse(
      'invalid-input',
      `${template.name} needs at least ${template.minimumMemoryMiB} MiB of memory, ${memoryMiB} MiB were asked for`,
    )
  const unfit = refuseRecovery(wish, template)
  if (unfit !== undefined) return unfit
  const guest = admitGuest(cluster, wish, template)
  if (guest.kind === 'refused') return guest
  const host =
    wish.host === undefined
      ? undefined
      : [...cluster.hosts.values()].find(({ spec }) => spec.name === wish.host || spec.id === wish.host)
  if (wish.host !== undefined && host === undefined) return refuse('not-found', `there is no host ${wish.host}`)
  const storage = chooseStorage(cluster, { wish, hostId: host?.spec.id })
  if ('kind' in storage && storage.kind === 'refused') return storage
  const hardware = wish.origin?.hardware ?? chooseHardware(cluster)
  if (hardware === undefined) return refuse('no-host-fits', 'no host is online', { verdicts: [] })
  const nics = assignNics(cluster, nicWishes(wish))
  if ('kind' in nics) return refuse(nics.code, nics.message)
  const [firstNic, ...moreNics] = nics
  const untold = guest.cloudInit !== null && guest.guest.boot === 'kernel' && nics.every(isFlat)
  if (untold)
    return refuse(
      'invalid-input',
      `nothing would tell ${wish.name} its user-data and keys: ${template.name} has no drive for a seed, and the flat network answers nobody; give it a card in another network`,
    )
  const number = smallestFree(new Set([...cluster.vms.values()].map(({ spec }) => spec.number)))
  const base: Omit<VmSpec, 'disks' | 'boundToHostId'> = {
    id: identity.vmId,
    name: wish.name,
    number,
    ...size,
    templateId: template.id,
    templateVersion: template.version,
    hardware,
    ...cardFields(firstNic, moreNics),
    extraCommandLine: wish.extraCommandLine,
    generationId: identity.generationId,
    ha: wish.ha,
    autostart: wish.autostart,
    startOrder: wish.startOrder,
    desired: wish.start ? 'running' : 'stopped',
    stopMode: 'shutdown',
    recovery: wish.recovery,
    probe: probeOf(wish, template),
    drillable: wish.drillable,
    ...originOf(wish, template),
    ...{ basedOnSnapshotId: null, resumesFrom: null, tags: [], note: '' },
    securityGroupIds: [...(wish.securityGroupIds ?? [])],
    lifecycle: 'creating',
    createdAt: identity.createdAt,
    placementRules: wish.placementRules ?? noPlacementRules,
    firstHostId: host?.spec.id ?? null,
    guest: wish.origin?.guest ?? guest.guest,
    cdroms: guest.cdroms,
    cloudInit: guest.cloudInit,
    ...{ growth: usualGrowth(size), limits: noLimits },
    ...(wish.membership === undefined ? {} : { membership: wish.membership }),
  }
  const rootDiskMiB = wish.origin?.rootDiskMiB ?? guest.rootDiskMiB
  return admitOnStorage(cluster, base, { wish, rootDiskMiB, storage, identity, requiredHost: host?.spec.id })
}

/** What begins with the disk of another machine has to be told who it is. */
function originOf({ origin }: VmWish, { madeFrom }: TemplateSpec): Pick<VmSpec, 'clonedFrom' | 'isUntoldClone'> {
  const clonedFrom = origin?.clonedFrom ?? null
  return { clonedFrom, isUntoldClone: clonedFrom === null && (origin !== undefined || madeFrom !== null) }
}

function isFlat({ networkId }: { readonly networkId: NetworkId }): boolean {
  return networkId === flatNetworkId
}

function nicWishes({ networks = [], address }: VmWish): readonly [NicWish, ...NicWish[]] {
  const [first, ...more] = networks
  return first === undefined ? [{ network: flatNetworkName, address }] : [{ address, ...first }, ...more]
}

/** Without the owner's word the template knows when its service is up; a machine that merely boots is asked less often. */
function probeOf({ probe, recovery }: VmWish, template: TemplateSpec): Probe | null {
  if (probe !== undefined) return probe
  if (template.readiness === null) return null
  return probeSchema.parse({ check: template.readiness, everyMs: recovery.mode === 'boot' ? 1_000 : 250 })
}

/** What can't be recovered from memory, with the reason. */
function refuseRecovery(wish: VmWish, template: TemplateSpec): Refusal | undefined {
  const { recovery, disks } = wish
  if (recovery.mode === 'boot') return undefined
  if (!template.canResume) {
    return refuse(
      'image-unfit',
      `${template.name} can't be resumed from memory: no agent in it could give a resumed machine new random numbers`,
    )
  }
  if (probeOf(wish, template) === null)
    return refuse('invalid-input', 'a machine that recovers from memory needs a probe that says when it serves')
  if (recovery.mode === 'checkpoint' && disks.some((disk) => disk.format !== 'qcow2'))
    return refuse('invalid-input', 'checkpoints take all disks, and only qcow2 disks can be part of one')
  return undefined
}

type StorageChoice = StorageSpec | { readonly localName: string }

type StorageQuestion = {
  readonly wish: VmWish
  readonly rootDiskMiB: number
  readonly storage: StorageChoice
  readonly identity: NewIdentity
  readonly requiredHost: HostId | undefined
}

/** With a shared storage any host may do; with a local one the choice of the host is the choice of the storage. */
function admitOnStorage(
  cluster: ClusterState,
  base: Omit<VmSpec, 'disks' | 'boundToHostId'>,
  question: StorageQuestion,
): Admission {
  const candidates = 'id' in question.storage ? [question.storage] : localStorages(cluster, question.storage.localName)
  const verdicts = []
  for (const storage of candidates) {
    const disks = disksOn(storage, question)
    const boundToHostId = storage.hostId ?? hostOfLocalDisk(cluster, disks)
    const spec: VmSpec = { ...base, disks, boundToHostId }
    if (spec.ha && !isOnSharedStorage(spec, cluster.storages)) {
      return refuse(
        'invalid-input',
        `HA needs shared storage; ${storage.name} is local to ${hostName(cluster, storage.hostId)}`,
      )
    }
    const choice = placeVm(cluster, spec, { required: question.requiredHost })
    if (choice.kind === 'placed')
      return (
        refuseForReserve(cluster, { wish: question.wish, spec, hostId: choice.hostId }) ?? {
          kind: 'admitted',
          spec,
          hostId: choice.hostId,
        }
      )
    verdicts.push(...choice.verdicts.filter((verdict) => storage.hostId === null || verdict.hostId === storage.hostId))
  }
  return refuse('no-host-fits', `no host can run ${base.name}: ${describeVerdicts(verdicts)}`, { verdicts })
}

function refuseForReserve(
  cluster: ClusterState,
  { wish, spec, hostId }: { readonly wish: VmWish; readonly spec: VmSpec; readonly hostId: HostId },
): Refusal | undefined {
  if (wish.isForced === true || spec.desired === 'stopped') return undefined
  const vm = { spec, placement: undefined, status: undefined, standby: undefined }
  const reason = refuseByReserve(cluster, { vm, hostId })
  return reason === undefined ? undefined : refuse('reserve-broken', `${spec.name} is not made: ${reason}`)
}

function disksOn(storage: StorageSpec, { wish, rootDiskMiB, identity }: StorageQuestion): VmSpec['disks'] {
  const sizes = [{ sizeMiB: rootDiskMiB, format: 'qcow2' as const }, ...wish.disks]
  return sizes.flatMap((disk, index) => {
    const volumeId = identity.volumeIds[index]
    return volumeId === undefined ? [] : [{ volumeId, storageId: storage.id, ...disk }]
  })
}

function hostOfLocalDisk({ storages }: ClusterState, disks: VmSpec['disks']): HostId | null {
  return disks.map(({ storageId }) => storages.get(storageId)?.hostId ?? null).find((hostId) => hostId !== null) ?? null
}

/** The named one; else the shared one where there is exactly one; else the hosts' local ones. */
function chooseStorage(
  cluster: ClusterState,
  { wish, hostId }: { readonly wish: VmWish; readonly hostId: HostId | undefined },
): StorageChoice | Refusal {
  const all = [...cluster.storages.values()]
  if (wish.storage !== undefined) {
    const named = all.filter((storage) => storage.name === wish.storage || storage.id === wish.storage)
    const [only] = named
    if (only === undefined) return refuse('not-found', `there is no storage ${wish.storage}`)
    if (named.length === 1) return only
    return named.find((storage) => storage.hostId === hostId) ?? { localName: only.name }
  }
  const shared = all.filter((storage) => storage.shared)
  if (shared.length === 1 && shared[0] !== undefined) return shared[0]
  if (shared.length > 1)
    return refuse(
      'invalid-input',
      `there are several shared storages (${shared.map(({ name }) => name).join(', ')}): name one`,
    )
  const local = all.find((storage) => hostId === undefined || storage.hostId === hostId)
  return local === undefined ? refuse('not-found', 'there is no storage yet') : { localName: local.name }
}

function localStorages(cluster: ClusterState, name: string): readonly StorageSpec[] {
  return [...cluster.storages.values()].filter((storage) => storage.name === name)
}

/** A new machine is pinned to what most of the online hosts offer, at the lowest version among them, so that it can move. */
function chooseHardware(cluster: ClusterState): PinnedHardware | undefined {
  const online = [...cluster.hosts.values()].filter(
    ({ status }) => status.state === 'online' && status.accelerator !== null,
  )
  const accelerator = online.some(({ status }) => status.accelerator === 'kvm') ? 'kvm' : 'tcg'
  const offers = online
    .filter(({ status }) => status.accelerator === accelerator)
    .sort((left, right) =>
      (left.status.qemuVersion ?? '').localeCompare(right.status.qemuVersion ?? '', 'en', { numeric: true }),
    )
  const lowest = offers[0]?.status
  if (lowest === undefined || lowest.machineType === null || lowest.cpuModel === null || lowest.qemuVersion === null)
    return undefined
  return { machineType: lowest.machineType, cpuModel: lowest.cpuModel, accelerator, qemuVersion: lowest.qemuVersion }
}

function hostName(cluster: ClusterState, hostId: HostId | null): string {
  return hostId === null ? 'no host' : (cluster.hosts.get(hostId)?.spec.name ?? hostId)
}

function smallestFree(taken: ReadonlySet<number>): number {
  let candidate = 1
  while (taken.has(candidate)) candidate += 1
  return candidate
}

function refuse(code: ErrorCode, message: string, detail?: unknown): Refusal {
  return { kind: 'refused', code, message, ...(detail === undefined ? {} : { detail }) }
}
