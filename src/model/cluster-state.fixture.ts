/** Small clusters for tests: each builder gives a healthy object, and takes what is to be different. */
import type { TemplateSpec } from './cluster.ts'
import type { ClusterState, HostObservation, HostRecord, VmRecord } from './cluster-state.ts'
import type { SecurityGroup } from './firewall.ts'
import { noLimits } from './growth.ts'
import { kernelGuest } from './guest.ts'
import {
  type HostId,
  hostIdSchema,
  type ImageId,
  imageIdSchema,
  type SessionId,
  type StorageId,
  sessionIdSchema,
  storageIdSchema,
  templateIdSchema,
  type VmId,
  type VolumeId,
  vmIdSchema,
  volumeIdSchema,
} from './ids.ts'
import type { IsoSpec } from './iso.ts'
import type { VirtualNetwork } from './network.ts'
import { noPlacementRules } from './placement-rules.ts'
import type { Snapshot } from './snapshots/snapshot.ts'
import type { StorageSpec } from './storage.ts'
import { defaultTimings } from './timings.ts'
import { configurationOf, type ImageReport, type MachineReport, type VmPlacement, type VmStatus } from './vm.ts'

export const someTime = '2026-01-01T00:00:00.000Z'

/** The eight characters of an id that begins with this word. */
const tail = (word: string) => word.padEnd(8, '0').slice(0, 8)
export const hostIdOf = (word: string): HostId => hostIdSchema.parse(`host-${tail(word)}`)
export const vmIdOf = (word: string): VmId => vmIdSchema.parse(`vm-${tail(word)}`)
export const volumeIdOf = (word: string): VolumeId => volumeIdSchema.parse(`vol-${tail(word)}`)
export const storageIdOf = (word: string): StorageId => storageIdSchema.parse(`st-${tail(word)}`)
export const sessionIdOf = (word: string): SessionId => sessionIdSchema.parse(`ses-${tail(word)}`)
export const imageIdOf = (word: string): ImageId => imageIdSchema.parse(`img-${tail(word)}`)
export const templateId = templateIdSchema.parse('tpl-tiny0000')
export const sharedId = storageIdOf('shared')

export type HostChanges = {
  readonly spec?: Partial<HostRecord['spec']>
  readonly status?: Partial<HostRecord['status']>
}

/** Online, soft-armed, 4 processors, 4 GiB, session and boot named after it, with the shared storage. */
export function makeHost(name: string, changes: HostChanges = {}): HostRecord {
  return {
    spec: {
      id: hostIdOf(name),
      name,
      number: (name.charCodeAt(0) % 90) + 1,
      address: '10.0.0.1',
      port: 7001,
      joinedAt: someTime,
      fence: null,
      labels: {},
      maintenance: null,
      ...changes.spec,
    },
    status: {
      state: 'online',
      since: someTime,
      detail: 'reports',
      session: sessionIdOf(name),
      agentLife: 1,
      bootId: `boot-of-${name}`,
      armed: 'soft',
      cpus: 4,
      memoryMiB: 4096,
      accelerator: 'tcg',
      qemuVersion: '7.2.22',
      machineType: 'pc-q35-7.2',
      cpuModel: 'max',
      firewall: 'bridge-conntrack',
      firewallDetail: 'nftables on the bridge, which follows connections itself',
      guestSupport: [],
      networkFaults: {},
      storageIds: [sharedId],
      storageRoom: [],
      fencing: null,
      proof: null,
      ...changes.status,
    },
  }
}

export function makeStorage(word: string, changes: Partial<StorageSpec> = {}): StorageSpec {
  return {
    id: storageIdOf(word),
    name: word,
    kind: 'directory',
    path: `/srv/${word}`,
    shared: true,
    hostId: null,
    createdAt: someTime,
    ...changes,
  }
}

export type VmChanges = {
  readonly spec?: Partial<VmRecord['spec']>
  readonly on?: string
  readonly placement?: Partial<VmPlacement>
  readonly status?: Partial<VmStatus>
  readonly storage?: StorageId
  readonly standby?: VmRecord['standby']
}

/** HA, on the shared storage, wanted running, 256 MiB; placed under epoch 5 when `on` names a host. */
export function makeVm(name: string, changes: VmChanges = {}): VmRecord {
  const number = (name.charCodeAt(name.length - 1) % 60) + 1
  const storageId = changes.storage ?? sharedId
  const disk = { volumeId: volumeIdOf(name), storageId, format: 'qcow2', sizeMiB: 100 } as const
  const spec: VmRecord['spec'] = {
    id: vmIdOf(name),
    name,
    number,
    cpus: 1,
    memoryMiB: 256,
    templateId,
    templateVersion: 'tiny-1',
    hardware: { machineType: 'pc-q35-7.2', cpuModel: 'max', accelerator: 'tcg', qemuVersion: '7.2.22' },
    macAddress: `52:54:0a:00:00:${number.toString(16).padStart(2, '0')}`,
    address: `10.0.0.${number}`,
    disks: [disk],
    extraCommandLine: '',
    generationId: '00000000-0000-4000-8000-000000000000',
    ha: true,
    autostart: true,
    startOrder: 100,
    desired: 'running',
    stopMode: 'shutdown',
    recovery: { mode: 'boot' },
    probe: null,
    drillable: false,
    clonedFrom: null,
    isUntoldClone: false,
    basedOnSnapshotId: null,
    resumesFrom: null,
    securityGroupIds: [],
    boundToHostId: null,
    firstHostId: null,
    lifecycle: 'live',
    createdAt: someTime,
    placementRules: noPlacementRules,
    nics: [],
    guest: kernelGuest,
    cdroms: [],
    cloudInit: null,
    tags: [],
    note: '',
    growth: null,
    limits: noLimits,
    ...changes.spec,
  }
  const { on } = changes
  const placement = on === undefined ? undefined : { ...placementOn(on), leased: spec.ha, ...changes.placement }
  const status = changes.status === undefined ? undefined : { ...statusOn(on ?? null), ...changes.status }
  return { spec, placement, status, standby: changes.standby }
}

function placementOn(hostName: string): VmPlacement {
  return {
    hostId: hostIdOf(hostName),
    epoch: 5,
    session: sessionIdOf(hostName),
    bootId: `boot-of-${hostName}`,
    start: 'boot',
    leased: false,
    term: 1,
    placedAt: someTime,
    reason: 'it fits best',
    proof: null,
    lastRecovery: null,
  }
}

function statusOn(hostName: string | null): VmStatus {
  const hostId = hostName === null ? null : hostIdOf(hostName)
  const base = { state: 'running', since: someTime, hostId, epoch: 5, incarnation: 0, pid: 1 } as const
  return { ...base, detail: '', crashes: 0, recovery: null }
}

export function makeReport(vmName: string, changes: Partial<MachineReport> = {}): MachineReport {
  const base = { vmId: vmIdOf(vmName), epoch: 5, incarnation: 0, phase: 'running', pid: 1 } as const
  const recovery = { ...makeReadiness(vmName), ...changes.recovery }
  return {
    ...base,
    detail: '',
    guestShutdown: false,
    leased: true,
    crashes: 0,
    wantsOtherHost: false,
    isHandedOver: false,
    ...changes,
    recovery,
  }
}

/** A machine that recovers by booting and that nobody probes. */
export function makeReadiness(name = 'web'): MachineReport['recovery'] {
  return {
    configuration: configurationOf(makeVm(name).spec),
    service: 'unprobed',
    startedBy: 'boot',
    image: null,
    spare: 'none',
    note: '',
  }
}

/** A warm image that was captured without a long pause. */
export function makeImage(word: string): ImageReport {
  const base = { imageId: imageIdOf(word), kind: 'warm', capturedAt: someTime } as const
  return { ...base, pauseMs: 5, isLive: true, sizeMiB: 100, changedMiB: 0 }
}

export type ClusterParts = {
  readonly hosts?: readonly HostRecord[]
  readonly vms?: readonly VmRecord[]
  readonly storages?: readonly StorageSpec[]
  readonly timings?: Partial<ClusterState['cluster']['timings']>
  readonly network?: ClusterState['network'] | null
  readonly securityGroups?: readonly SecurityGroup[]
  readonly hostFailuresToTolerate?: number
  readonly networks?: readonly VirtualNetwork[]
  readonly isos?: readonly IsoSpec[]
  readonly templates?: readonly TemplateSpec[]
  readonly snapshots?: readonly Snapshot[]
}

/** Every VM has its volumes; the template `tiny` is built; the network assigns 10.0.0.10 to 10.0.0.20. */
export function makeCluster(parts: ClusterParts = {}): ClusterState {
  const vms = parts.vms ?? []
  const volumes = vms.flatMap(({ spec }) =>
    spec.disks.map((disk) => ({
      ...disk,
      id: disk.volumeId,
      baseVersion: null,
      vmId: spec.id,
      move: null,
      createdAt: someTime,
    })),
  )
  const network = { subnet: '10.0.0.0/24', gateway: '10.0.0.1', addressFrom: '10.0.0.10', addressTo: '10.0.0.20' }
  return {
    cluster: {
      id: '00000000-0000-4000-8000-000000000001',
      name: 'test',
      createdAt: someTime,
      timings: { ...defaultTimings, ...parts.timings },
      formerTimings: null,
      hostFailuresToTolerate: parts.hostFailuresToTolerate ?? 0,
    },
    network: parts.network === null ? undefined : (parts.network ?? network),
    hosts: new Map((parts.hosts ?? []).map((host) => [host.spec.id, host])),
    vms: new Map(vms.map((vm) => [vm.spec.id, vm])),
    storages: new Map((parts.storages ?? [makeStorage('shared')]).map((storage) => [storage.id, storage])),
    volumes: new Map(volumes.map((volume) => [volume.id, volume])),
    templates: new Map([tinyTemplate, ...(parts.templates ?? [])].map((template) => [template.id, template])),
    tasks: new Map(),
    securityGroups: new Map((parts.securityGroups ?? []).map((group) => [group.id, group])),
    snapshots: new Map((parts.snapshots ?? []).map((snapshot) => [snapshot.id, snapshot])),
    networks: new Map((parts.networks ?? []).map((virtual) => [virtual.id, virtual])),
    isos: new Map((parts.isos ?? []).map((iso) => [iso.id, iso])),
    discards: new Map(),
    services: new Map(),
  }
}

export const tinyTemplate: TemplateSpec = {
  id: templateId,
  name: 'tiny',
  version: 'tiny-1',
  description: '',
  kernelVersion: '6.1',
  commandLine: '',
  commandLineTcg: '',
  minimumMemoryMiB: 64,
  defaultMemoryMiB: 128,
  defaultCpus: 1,
  rootDiskMiB: 100,
  canResume: true,
  boot: 'kernel',
  os: 'linux',
  guest: null,
  ports: [80],
  origin: 'recipe',
  madeFrom: null,
  readiness: { kind: 'http', port: 80, path: '/health', status: 200, body: 'ok' },
  warm: null,
  builtAt: someTime,
  directory: '/srv/templates/tiny-1',
}

/** Heard just now, with the shared storage in reach. */
export function makeObservation(changes: Partial<HostObservation> = {}): HostObservation {
  return {
    silentMs: 10,
    attentiveSilentMs: 10,
    kernelAnsweredAgoMs: Infinity,
    unheardAnswers: 0,
    unreadMs: new Map([[sharedId, 100]]),
    reports: new Map(),
    reachableStorages: new Set([sharedId]),
    ...changes,
  }
}
