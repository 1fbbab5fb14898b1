/**
 * The cluster in memory, kept current from the store's watch. Decisions read it; nobody reads the store to decide. Each change tells
 * listeners which nouns it touched, so that work follows what changed and not what exists.
 */
import type { z } from 'zod'
import { clusterSpecSchema, networkSpecSchema, taskSchema, templateSpecSchema } from '../../model/cluster.ts'
import type { ClusterState, HostRecord, VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type SecurityGroup, securityGroupSchema } from '../../model/firewall.ts'
import { hostSpecSchema, hostStatusSchema } from '../../model/host.ts'
import {
  type HostId,
  hostIdSchema,
  isoIdSchema,
  networkIdSchema,
  type SecurityGroupId,
  type ServiceId,
  type SnapshotId,
  securityGroupIdSchema,
  serviceIdSchema,
  snapshotIdSchema,
  storageIdSchema,
  taskIdSchema,
  templateIdSchema,
  type VmId,
  vmIdSchema,
  volumeIdSchema,
} from '../../model/ids.ts'
import { isoSpecSchema } from '../../model/iso.ts'
import { type DiscardedVolume, discardedVolumeSchema } from '../../model/migration/disk-copy.ts'
import { vmMigrationSchema } from '../../model/migration/vm-migration.ts'
import { virtualNetworkSchema } from '../../model/network.ts'
import { restartLessonsSchema, type ServiceRecord, serviceSpecSchema } from '../../model/service/service.ts'
import { type Snapshot, snapshotSchema } from '../../model/snapshots/snapshot.ts'
import { snapshotScheduleSchema } from '../../model/snapshots/snapshot-schedule.ts'
import { vmChangeSchema } from '../../model/snapshots/vm-change.ts'
import { vmOperationSchema } from '../../model/snapshots/vm-operation.ts'
import { storageSpecSchema, volumeSpecSchema } from '../../model/storage.ts'
import { vmPlacementSchema, vmSpecSchema, vmStandbySchema, vmStatusSchema } from '../../model/vm.ts'
import type { Change, KeyValue, Revision, Store } from '../../store/store.ts'

export type Touched = { readonly key: string; readonly noun: string; readonly id: string; readonly revision: Revision }

export type ClusterIndex = {
  state(): ClusterState
  revision(): Revision
  /** Revision of the last write to this key, for compare-and-swap; 0 when it doesn't exist. */
  modRevision(key: string): Revision
  onChange(listener: (touched: readonly Touched[]) => void): () => void
  /** Resolves when the index has taken in everything up to this revision. */
  caughtUp(revision: Revision): Promise<void>
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }
type MutableState = {
  cluster: ClusterState['cluster'] | undefined
  network: ClusterState['network']
  hosts: Map<HostId, Mutable<HostRecord>>
  vms: Map<VmId, Mutable<VmRecord>>
  storages: Map<z.infer<typeof storageIdSchema>, z.infer<typeof storageSpecSchema>>
  volumes: Map<z.infer<typeof volumeIdSchema>, z.infer<typeof volumeSpecSchema>>
  templates: Map<z.infer<typeof templateIdSchema>, z.infer<typeof templateSpecSchema>>
  tasks: Map<z.infer<typeof taskIdSchema>, z.infer<typeof taskSchema>>
  securityGroups: Map<SecurityGroupId, SecurityGroup>
  networks: Map<z.infer<typeof networkIdSchema>, z.infer<typeof virtualNetworkSchema>>
  isos: Map<z.infer<typeof isoIdSchema>, z.infer<typeof isoSpecSchema>>
  snapshots: Map<SnapshotId, Snapshot>
  discards: Map<string, DiscardedVolume>
  services: Map<ServiceId, ServiceRecord>
}

/** Loads everything and follows the store until the signal aborts. */
export async function openClusterIndex(store: Store, options: { readonly signal: AbortSignal }): Promise<ClusterIndex> {
  const state: MutableState = {
    cluster: undefined,
    network: undefined,
    hosts: new Map(),
    vms: new Map(),
    storages: new Map(),
    volumes: new Map(),
    templates: new Map(),
    tasks: new Map(),
    securityGroups: new Map(),
    networks: new Map(),
    isos: new Map(),
    snapshots: new Map(),
    discards: new Map(),
    services: new Map(),
  }
  const modRevisions = new Map<string, Revision>()
  const listeners = new Set<(touched: readonly Touched[]) => void>()
  const waiting: { readonly revision: Revision; resolve(): void }[] = []
  let revision: Revision = 0
  let seen: ClusterState | undefined

  const take = (change: Change): Touched => {
    const key = change.kind === 'put' ? change.entry.key : change.key
    if (change.kind === 'put') modRevisions.set(key, change.entry.modRevision)
    else modRevisions.delete(key)
    applyToState(state, key, change.kind === 'put' ? JSON.parse(change.entry.value) : undefined)
    const [noun = '', id = ''] = key.split('/')
    return { key, noun, id, revision: change.kind === 'put' ? change.entry.modRevision : change.modRevision }
  }

  const advance = (to: Revision, touched: readonly Touched[]) => {
    revision = to
    for (const listener of listeners) listener(touched)
    for (let index = waiting.length - 1; index >= 0; index -= 1) {
      const waiter = waiting[index]
      if (waiter === undefined || waiter.revision > revision) continue
      waiting.splice(index, 1)
      waiter.resolve()
    }
  }

  const first = await store.range('')
  // Specs first: in key order a VM's placement comes before its spec, and without one it would be taken for nothing.
  const isSpec = ({ key }: KeyValue) => key.endsWith('/spec')
  for (const entry of first.entries.filter(isSpec)) take(putOf(entry))
  for (const entry of first.entries.filter((other) => !isSpec(other))) take(putOf(entry))
  revision = first.revision
  void follow()

  return {
    state: () => {
      if (state.cluster === undefined) throw new DialtoneError('internal', 'the store holds no cluster')
      if (seen?.cluster !== state.cluster || seen.network !== state.network) seen = { ...state, cluster: state.cluster }
      return seen
    },
    revision: () => revision,
    modRevision: (key) => modRevisions.get(key) ?? 0,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    caughtUp: (wanted) =>
      revision >= wanted ? Promise.resolve() : new Promise((resolve) => waiting.push({ revision: wanted, resolve })),
  }

  async function follow(): Promise<void> {
    for await (const changeSet of store.watch('', { afterRevision: revision, signal: options.signal })) {
      advance(changeSet.revision, changeSet.changes.map(take))
    }
  }
}

function putOf(entry: KeyValue): Change {
  return { kind: 'put', entry }
}

/** `value` undefined: the key is gone. */
function applyToState(state: MutableState, key: string, value: unknown): void {
  const [noun = '', id, part] = key.split('/')
  switch (noun) {
    case 'cluster':
      state.cluster = value === undefined ? undefined : clusterSpecSchema.parse(value)
      return
    case 'network':
      if (id !== undefined)
        return applyTo(
          state.networks,
          networkIdSchema.parse(id),
          value === undefined ? undefined : virtualNetworkSchema.parse(value),
        )
      state.network = value === undefined ? undefined : networkSpecSchema.parse(value)
      return
    case 'host':
      return applyHost(state, hostIdSchema.parse(id), { part, value })
    case 'vm':
      return applyVm(state, vmIdSchema.parse(id), { part, value })
    case 'storage':
      return applyTo(
        state.storages,
        storageIdSchema.parse(id),
        value === undefined ? undefined : storageSpecSchema.parse(value),
      )
    case 'volume':
      return applyTo(
        state.volumes,
        volumeIdSchema.parse(id),
        value === undefined ? undefined : volumeSpecSchema.parse(value),
      )
    case 'template':
      return applyTo(
        state.templates,
        templateIdSchema.parse(id),
        value === undefined ? undefined : templateSpecSchema.parse(value),
      )
    case 'iso':
      return applyTo(state.isos, isoIdSchema.parse(id), value === undefined ? undefined : isoSpecSchema.parse(value))
    case 'task':
      return applyTo(state.tasks, taskIdSchema.parse(id), value === undefined ? undefined : taskSchema.parse(value))
    case 'snapshot':
      return applyTo(
        state.snapshots,
        snapshotIdSchema.parse(id),
        value === undefined ? undefined : snapshotSchema.parse(value),
      )
    case 'discard':
      return applyTo(state.discards, key, value === undefined ? undefined : discardedVolumeSchema.parse(value))
    case 'service':
      return applyService(state, serviceIdSchema.parse(id), { part, value })
    case 'security-group':
      return applyTo(
        state.securityGroups,
        securityGroupIdSchema.parse(id),
        value === undefined ? undefined : securityGroupSchema.parse(value),
      )
  }
}

function applyTo<Id, Value>(map: Map<Id, Value>, id: Id, value: Value | undefined): void {
  if (value === undefined) map.delete(id)
  else map.set(id, value)
}

type Part = { readonly part: string | undefined; readonly value: unknown }

/** Records are replaced, never changed in place: whoever holds a snapshot keeps what it saw. */
function applyHost(state: MutableState, id: HostId, { part, value }: Part): void {
  if (value === undefined) return void (part === 'spec' && state.hosts.delete(id))
  const before = state.hosts.get(id)
  if (part === 'spec') state.hosts.set(id, { spec: hostSpecSchema.parse(value), status: before?.status ?? neverSeen })
  else if (before !== undefined) state.hosts.set(id, { ...before, status: hostStatusSchema.parse(value) })
}

function applyService({ services }: MutableState, id: ServiceId, { part, value }: Part): void {
  const before = services.get(id)
  if (part === 'lessons') {
    const lessons = value === undefined ? {} : restartLessonsSchema.parse(value)
    if (before !== undefined) services.set(id, { ...before, lessons })
  } else if (value === undefined) services.delete(id)
  else services.set(id, { lessons: {}, ...before, spec: serviceSpecSchema.parse(value) })
}

function applyVm(state: MutableState, id: VmId, { part, value }: Part): void {
  const before = state.vms.get(id)
  if (part === 'spec') {
    if (value === undefined) state.vms.delete(id)
    else {
      const empty = { placement: undefined, status: undefined, standby: undefined }
      state.vms.set(id, { ...empty, ...before, spec: vmSpecSchema.parse(value) })
    }
  } else if (before !== undefined && part === 'placement') {
    state.vms.set(id, { ...before, placement: value === undefined ? undefined : vmPlacementSchema.parse(value) })
  } else if (before !== undefined && part === 'status') {
    state.vms.set(id, { ...before, status: value === undefined ? undefined : vmStatusSchema.parse(value) })
  } else if (before !== undefined && part === 'standby') {
    state.vms.set(id, { ...before, standby: value === undefined ? undefined : vmStandbySchema.parse(value) })
  } else if (before !== undefined && part === 'migration') {
    state.vms.set(id, { ...before, migration: value === undefined ? undefined : vmMigrationSchema.parse(value) })
  } else if (before !== undefined && part === 'operation') {
    state.vms.set(id, { ...before, operation: value === undefined ? undefined : vmOperationSchema.parse(value) })
  } else if (before !== undefined && part === 'change') {
    state.vms.set(id, { ...before, change: value === undefined ? undefined : vmChangeSchema.parse(value) })
  } else if (before !== undefined && part === 'snapshot-schedule') {
    const snapshotSchedule = value === undefined ? undefined : snapshotScheduleSchema.parse(value)
    state.vms.set(id, { ...before, snapshotSchedule })
  }
}

/** A host that has joined and not yet reported. */
export const neverSeen: HostRecord['status'] = {
  state: 'offline',
  since: '1970-01-01T00:00:00.000Z',
  detail: 'has joined and not reported yet',
  session: null,
  agentLife: 0,
  bootId: null,
  armed: 'none',
  cpus: 0,
  memoryMiB: 0,
  accelerator: null,
  qemuVersion: null,
  machineType: null,
  cpuModel: null,
  firewall: 'none',
  firewallDetail: '',
  guestSupport: [],
  networkFaults: {},
  storageIds: [],
  storageRoom: [],
  fencing: null,
  proof: null,
}
