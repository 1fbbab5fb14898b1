/** One host as the fake agents keep it: what it holds, and how a test has it misbehave. */
import type { DepartureReport } from '../model/agent-protocol/migration-orders.ts'
import { sharedId } from '../model/cluster-state.fixture.ts'
import { type HostFirewall, openFirewall } from '../model/firewall.ts'
import type { PresentHardware } from '../model/growth.ts'
import type { Armed, HostSpec } from '../model/host.ts'
import type { HostCommandReport } from '../model/host-command.ts'
import type { HostId, ImageId, SessionId, VmId, VolumeId } from '../model/ids.ts'
import type { MachineOrder } from '../model/machine-order.ts'
import type { NumberedRecord, RecoveryRecord } from '../model/recovery/recovery-record.ts'
import { configurationOfOrder, type ImageReport, type MachinePhase, type MachineReport } from '../model/vm.ts'

export type Machine = {
  order: MachineOrder
  readonly epoch: number
  /** So often it was recovered there. */
  incarnation: number
  phase: MachinePhase
  guestShutdown: boolean
  wantsOtherHost: boolean
  hardware: PresentHardware
  service: MachineReport['recovery']['service']
  /** What a recovery of it would begin with. */
  image: ImageReport | null
  /** Of a machine that leaves: how far it is, and whether it may go on by itself. */
  move: {
    state: DepartureReport['state']
    looks: number
    readonly targetId: HostId | undefined
    readonly copied: readonly VolumeId[]
  }
  isHandedOver: boolean
  /** Its guest has yet to be told that it is a new machine. */
  isUntold: boolean
  /** The rest of it follows. */
  isOutrun: boolean
  /** Of a disk that is copied to another storage: how often that was looked at. */
  copyLooks: number
  /** Of one that comes: it waits for its memory, and whether that is whole. */
  isArriving: boolean
  isWhole: boolean
  /** It may run before it is whole. */
  isFollowed: boolean
  /** Why what runs here has not the memory that it came with. */
  lost: string | null
}

export type FakeHost = {
  readonly spec: HostSpec
  session: SessionId
  agentLife: number
  bootId: string
  armed: Armed
  memoryMiB: number
  /** On each of its storages. */
  freeMiB: number
  /** No packet passes between it and the controller. */
  isCut: boolean
  /** What it says arrives; nothing reaches it. */
  isDeaf: boolean
  /** Heartbeats in a row without an answer. */
  unanswered: number
  /** Its agent makes no progress, while its kernel and its machines do. */
  isStalled: boolean
  /** Its storage can't be reached. */
  isWithoutStorage: boolean
  isOff: boolean
  /** Starts fail on it. */
  failsStarts: boolean
  /** Its guests give nothing back that they were given. */
  holdsOn: boolean
  /** Its machines change their memory faster than it can be sent. */
  isOutrun: boolean
  configurationRevision: number
  /** As it was last told. */
  firewall: HostFirewall
  highestKnownRevision: number
  highestKnownTerm: number
  storeIncarnation: string | null
  readonly machines: Map<VmId, Machine>
  /** Starts up to these epochs are void in this session. */
  readonly released: Map<VmId, number>
  /** What it would take over, and from which image. */
  readonly standbys: Map<VmId, ImageId>
  /** What it saw of failures and recoveries and was not told to be stored yet; numbered in its session. */
  records: NumberedRecord[]
  recordsMade: number
  /** Commands that were begun, by their run. Outlives its boots. */
  readonly commands: Map<string, HostCommandReport>
}

export function makeFakeHost(spec: HostSpec, armed: Armed, session: SessionId): FakeHost {
  return {
    spec,
    session,
    agentLife: 1,
    bootId: `boot-${spec.name}-1`,
    armed,
    memoryMiB: 4096,
    freeMiB: 10_000,
    isCut: false,
    isDeaf: false,
    unanswered: 0,
    isStalled: false,
    isWithoutStorage: false,
    isOff: false,
    failsStarts: false,
    isOutrun: false,
    holdsOn: false,
    configurationRevision: 0,
    firewall: openFirewall,
    highestKnownRevision: 0,
    highestKnownTerm: 0,
    storeIncarnation: null,
    machines: new Map(),
    released: new Map(),
    standbys: new Map(),
    records: [],
    recordsMade: 0,
    commands: new Map(),
  }
}

/** Just ordered. As soon as it runs, its service answers correctly, if anybody looks. */
export function makeMachine(order: MachineOrder, epoch: number, phase: MachinePhase): Machine {
  const service = order.probe === null ? 'unprobed' : 'correct'
  return {
    order,
    epoch,
    phase,
    incarnation: 0,
    guestShutdown: false,
    wantsOtherHost: false,
    hardware: hardwareOf(order),
    service,
    image: null,
    move: { state: 'none', looks: 0, targetId: undefined, copied: [] },
    isHandedOver: false,
    isUntold: order.isUntoldClone,
    isOutrun: false,
    copyLooks: 0,
    isArriving: false,
    isWhole: false,
    isFollowed: false,
    lost: null,
  }
}

/** True while its vCPUs may write to its disks. */
export function isWriting(machine: Machine | undefined): boolean {
  return machine?.phase === 'running' || machine?.phase === 'stopping' || machine?.phase === 'restarting'
}

/** It saw something of a failure or a recovery, and tells it until the leader has stored it. */
export function observe(host: FakeHost, ...records: readonly RecoveryRecord[]): void {
  for (const record of records) {
    host.recordsMade += 1
    host.records.push({ sequence: host.recordsMade, record })
  }
}

/** What a machine has that was just started by this order. */
export function hardwareOf({ cpus, memoryMiB, disks, moreNics }: MachineOrder): PresentHardware {
  return {
    cpus,
    memoryMiB,
    disks: disks
      .filter(({ isDetached }) => isDetached !== true)
      .map(({ volumeId, sizeMiB = 1 }) => ({ volumeId, sizeMiB })),
    cards: moreNics.filter(({ isDetached }) => isDetached !== true).map(({ number }) => number),
    notes: [],
  }
}

/** What it has when it was told of another order while it runs. */
export function hardwareAfter({ order, hardware }: Machine, holdsOn: boolean): PresentHardware {
  const wanted = hardwareOf(order)
  if (!holdsOn) return wanted
  const kept = hardware.disks.filter(({ volumeId }) => !wanted.disks.some((disk) => disk.volumeId === volumeId))
  const why = 'its guest keeps it'
  return {
    cpus: Math.max(wanted.cpus, hardware.cpus),
    memoryMiB: Math.max(wanted.memoryMiB, hardware.memoryMiB),
    disks: [...wanted.disks, ...kept],
    cards: [...new Set([...wanted.cards, ...hardware.cards])],
    notes: kept.map(({ volumeId }) => ({ what: 'disk', which: volumeId, why, needsRestart: false })),
  }
}

export function reportOf(vmId: VmId, machine: Machine): MachineReport {
  const { epoch, phase, guestShutdown, wantsOtherHost, order, isArriving } = machine
  const localDisks = order.disks
    .filter(({ storageId }) => storageId !== sharedId)
    .map(({ volumeId, storageId }) => ({ volumeId, storageId }))
  return {
    vmId,
    epoch,
    incarnation: machine.incarnation,
    phase,
    pid: phase === 'running' ? 1 : null,
    detail: '',
    guestShutdown,
    leased: order.leased,
    crashes: 0,
    wantsOtherHost,
    isHandedOver: machine.isHandedOver,
    ...(localDisks.length > 0 ? { localDisks } : {}),
    ...(isArriving ? { isArriving } : {}),
    ...(machine.isUntold ? { isUntold: true } : {}),
    hardware: phase === 'running' ? machine.hardware : null,
    recovery: {
      configuration: configurationOfOrder(order),
      service: phase === 'running' ? machine.service : 'unprobed',
      startedBy: order.start,
      image: machine.image,
      spare: 'none',
      note: '',
    },
  }
}
