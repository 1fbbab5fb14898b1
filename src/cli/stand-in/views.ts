/** Objects as the API answers them, for tests. */
import type { HostView, StorageView, TaskView, VmView, VolumeView } from '../../model/api/views.ts'
import { noLimits } from '../../model/growth.ts'
import { kernelGuest } from '../../model/guest.ts'
import {
  flatNetworkId,
  hostIdSchema,
  sessionIdSchema,
  storageIdSchema,
  taskIdSchema,
  templateIdSchema,
  vmIdSchema,
  volumeIdSchema,
} from '../../model/ids.ts'
import { noPlacementRules } from '../../model/placement-rules.ts'

const madeAt = '2026-03-01T11:00:00.000Z'
const hostId = hostIdSchema.parse('host-aaaaaaaa')
const session = sessionIdSchema.parse('ses-aaaaaaaa')
const storageId = storageIdSchema.parse('st-aaaaaaaa')

const firstNic = {
  number: 0,
  networkId: flatNetworkId,
  networkName: 'flat',
  macAddress: '52:54:00:00:00:01',
  address: '10.20.0.11',
  address6: null,
  mtu: null,
}

const twoDisks: VmView['disks'] = [
  { volumeId: volumeIdSchema.parse('vol-aaaaaaaa'), storageId, format: 'qcow2', sizeMiB: 512 },
  { volumeId: volumeIdSchema.parse('vol-bbbbbbbb'), storageId, format: 'raw', sizeMiB: 64 },
]

const noOrigin = { clonedFrom: null, isUntoldClone: false, basedOnSnapshotId: null, resumesFrom: null }
const asItBegan = { growth: null, limits: noLimits, pending: [] }
const kernelBooted = { guest: kernelGuest, cdroms: [], discs: [], cloudInit: null, tags: [], note: '' }

export function makeVmView(changes: Partial<VmView> = {}): VmView {
  return {
    id: vmIdSchema.parse('vm-aaaaaaaa'),
    name: 'web',
    number: 1,
    cpus: 1,
    memoryMiB: 128,
    templateId: templateIdSchema.parse('tpl-aaaaaaaa'),
    templateVersion: '1a2b3c',
    hardware: { machineType: 'pc-q35-7.2', cpuModel: 'qemu64', accelerator: 'tcg', qemuVersion: '7.2.22' },
    macAddress: '52:54:00:00:00:01',
    address: '10.20.0.11',
    nics: [firstNic],
    disks: twoDisks,
    extraCommandLine: '',
    generationId: '7b0a3c1e-94b2-4f6c-8a64-5d1d2c9f1b10',
    ha: true,
    autostart: true,
    startOrder: 100,
    desired: 'running',
    stopMode: 'shutdown',
    recovery: { mode: 'boot' },
    probe: null,
    drillable: false,
    securityGroupIds: [],
    securityGroups: [],
    ...noOrigin,
    placementRules: noPlacementRules,
    standby: null,
    standbyHostName: null,
    standbyReport: null,
    migration: null,
    recoverySentence: 'It boots from its disk as it is; what was only in its memory is lost.',
    boundToHostId: null,
    firstHostId: null,
    lifecycle: 'live',
    ...kernelBooted,
    ...asItBegan,
    createdAt: madeAt,
    templateName: 'tiny',
    hostName: 'node1',
    placement: {
      hostId,
      epoch: 3,
      session,
      bootId: '0d1d7e3c',
      start: 'boot',
      leased: true,
      term: 1,
      placedAt: madeAt,
      reason: 'node1 has the most free memory.',
      proof: null,
      lastRecovery: null,
    },
    status: {
      state: 'running',
      since: madeAt,
      hostId,
      epoch: 3,
      incarnation: 0,
      pid: 4711,
      detail: '',
      crashes: 0,
      recovery: null,
    },
    proofSentence: null,
    revision: 12,
    ...changes,
  }
}

export function makeHostView(changes: Partial<HostView> = {}): HostView {
  return {
    id: hostId,
    name: 'node1',
    number: 1,
    address: '10.9.0.1',
    port: 7401,
    joinedAt: madeAt,
    fence: null,
    labels: {},
    maintenance: null,
    status: {
      state: 'online',
      since: madeAt,
      detail: '',
      session,
      agentLife: 1,
      bootId: '0d1d7e3c',
      armed: 'soft',
      cpus: 2,
      memoryMiB: 4096,
      accelerator: 'tcg',
      qemuVersion: '7.2.22',
      machineType: 'pc-q35-7.2',
      cpuModel: 'qemu64',
      firewall: 'bridge-conntrack',
      firewallDetail: 'nftables on the bridge, which follows connections itself',
      guestSupport: [],
      networkFaults: {},
      storageIds: [storageId],
      storageRoom: [{ storageId, freeMiB: 40_000 }],
      fencing: null,
      proof: null,
    },
    silentMs: 120,
    usedMemoryMiB: 128,
    usedCpus: 1,
    vmNames: ['web'],
    ...changes,
  }
}

export function makeStorageView(): StorageView {
  return {
    id: storageId,
    name: 'shared',
    kind: 'directory',
    path: '/srv/shared',
    shared: true,
    hostId: null,
    createdAt: madeAt,
    hostName: null,
    volumes: 2,
  }
}

export function makeVolumeView(): VolumeView {
  const { id: vmId, name: vmName } = makeVmView({})
  const id = volumeIdSchema.parse('vol-aaaaaaaa')
  const base = {
    id,
    storageId,
    format: 'qcow2',
    sizeMiB: 512,
    baseVersion: null,
    vmId,
    move: null,
    createdAt: madeAt,
  } as const
  return { ...base, name: `${vmName}:0`, vmName, storageName: 'shared' }
}

export function makeTaskView(changes: Partial<TaskView> = {}): TaskView {
  return {
    id: taskIdSchema.parse('task-aaaaaaaa'),
    kind: 'vm.create',
    subject: 'web',
    vmId: null,
    hostId: null,
    user: 'admin',
    state: 'running',
    progress: 0,
    message: '',
    steps: [],
    error: null,
    cancelRequested: false,
    createdAt: new Date().toISOString(),
    endedAt: null,
    ...changes,
  }
}
