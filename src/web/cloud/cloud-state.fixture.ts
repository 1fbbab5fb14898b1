/** A small cloud for tests of the console. */

import type { EventView, HostView, TaskView, VmView } from '../../model/api/views.ts'
import { clusterSpecSchema } from '../../model/cluster.ts'
import { makeVm as makeRecord } from '../../model/cluster-state.fixture.ts'
import {
  hostIdSchema,
  nameSchema,
  sessionIdSchema,
  storageIdSchema,
  taskIdSchema,
  templateIdSchema,
  vmIdSchema,
  volumeIdSchema,
} from '../../model/ids.ts'
import { defaultTimings } from '../../model/timings.ts'
import type { VmState } from '../../model/vm.ts'
import type { CloudState } from './cloud-state.ts'

const at = '2026-03-01T11:00:00.000Z'
const eight = (text: string): string =>
  text
    .replaceAll(/[^a-z0-9]/g, '')
    .padEnd(8, 'a')
    .slice(0, 8)

export const vmIdOf = (name: string) => vmIdSchema.parse(`vm-${eight(name)}`)
export const hostIdOf = (name: string) => hostIdSchema.parse(`host-${eight(name)}`)

export function makeVm(name: string, state: VmState = 'running', changes: Partial<VmView> = {}): VmView {
  const hostId = hostIdOf('node1')
  return {
    ...makeRecord('web').spec,
    id: vmIdOf(name),
    name: nameSchema.parse(name),
    number: 1,
    cpus: 2,
    memoryMiB: 512,
    templateId: templateIdSchema.parse('tpl-aaaaaaaa'),
    templateVersion: 'tiny-1',
    templateName: 'tiny',
    hardware: { machineType: 'pc-q35-7.2', cpuModel: 'max', accelerator: 'kvm', qemuVersion: '7.2.22' },
    macAddress: '52:54:0a:00:00:0a',
    address: '10.0.0.10',
    disks: [
      {
        volumeId: volumeIdSchema.parse('vol-aaaaaaaa'),
        storageId: storageIdSchema.parse('st-aaaaaaaa'),
        format: 'qcow2',
        sizeMiB: 100,
      },
    ],
    generationId: '5244d87f-bb25-4724-846b-c009f83a1119',
    createdAt: at,
    securityGroups: [],
    discs: [],
    cloudInit: null,
    nics: [],
    pending: [],
    hostName: 'node1',
    placement: {
      hostId,
      epoch: 1,
      session: sessionIdSchema.parse('ses-aaaaaaaa'),
      bootId: 'boot',
      leased: true,
      start: 'boot',
      term: 1,
      placedAt: at,
      reason: 'node1 fits best',
      proof: null,
      lastRecovery: null,
    },
    status: { state, since: at, hostId, epoch: 1, incarnation: 0, pid: 1, detail: '', crashes: 0, recovery: null },
    standby: null,
    standbyHostName: null,
    standbyReport: null,
    migration: null,
    recoverySentence: 'A recovery boots it.',
    proofSentence: null,
    revision: 1,
    ...changes,
  }
}

export function makeHost(name: string, changes: Partial<HostView['status']> = {}): HostView {
  return {
    id: hostIdOf(name),
    name: nameSchema.parse(name),
    number: 1,
    address: '192.0.2.1',
    port: 7001,
    joinedAt: at,
    fence: null,
    labels: {},
    maintenance: null,
    silentMs: null,
    usedMemoryMiB: 0,
    usedCpus: 0,
    vmNames: [],
    status: {
      state: 'online',
      since: at,
      detail: '',
      session: null,
      agentLife: 0,
      bootId: null,
      armed: 'hard',
      cpus: 8,
      memoryMiB: 4096,
      accelerator: 'kvm',
      qemuVersion: '7.2.22',
      machineType: 'pc-q35-7.2',
      cpuModel: 'max',
      firewall: 'none',
      firewallDetail: '',
      guestSupport: [],
      networkFaults: {},
      storageIds: [],
      storageRoom: [],
      fencing: null,
      proof: null,
      ...changes,
    },
  }
}

export function makeTask(changes: Partial<TaskView> = {}): TaskView {
  return {
    id: taskIdSchema.parse('task-aaaaaaaa'),
    kind: 'vm.create',
    subject: 'web',
    vmId: null,
    hostId: null,
    user: 'ann',
    state: 'running',
    progress: 0.5,
    message: '',
    steps: [],
    error: null,
    cancelRequested: false,
    createdAt: at,
    endedAt: null,
    ...changes,
  }
}

export function makeEvent(revision: number, changes: Partial<EventView> = {}): EventView {
  return {
    revision,
    at,
    kind: 'vm.started',
    subject: 'web',
    message: 'started',
    vmId: null,
    hostId: null,
    user: null,
    ...changes,
  }
}

export function makeCloud({
  vms = [],
  hosts = [],
  events = [],
  holds = [],
}: {
  vms?: VmView[]
  hosts?: HostView[]
  events?: EventView[]
  holds?: string[]
}): CloudState {
  const cluster = clusterSpecSchema.parse({
    id: 'b5f7c2a0-1d0e-4b43-9d1c-0c5f3e6a7b80',
    name: 'lab',
    createdAt: at,
    timings: defaultTimings,
  })
  return {
    cluster: { ...cluster, version: '0.1.0', term: 1, network: null, storeIncarnation: 'one', storeRevision: 1, holds },
    vms: new Map(vms.map((vm) => [vm.id, vm])),
    hosts: new Map(hosts.map((host) => [host.id, host])),
    storages: new Map(),
    templates: new Map(),
    tasks: new Map(),
    events,
  }
}
