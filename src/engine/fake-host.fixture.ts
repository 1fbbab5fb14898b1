/** One host as the fake agents keep it: what it holds, and how a test has it misbehave. */
import type { Armed, HostSpec } from '../model/host.ts'
import type { SessionId, VmId } from '../model/ids.ts'
import type { MachineOrder } from '../model/machine-order.ts'
import type { MachinePhase, MachineReport } from '../model/vm.ts'

export type Machine = {
  readonly order: MachineOrder
  readonly epoch: number
  phase: MachinePhase
  guestShutdown: boolean
}

export type FakeHost = {
  readonly spec: HostSpec
  session: SessionId
  bootId: string
  armed: Armed
  memoryMiB: number
  /** No packet passes between it and the controller. */
  isCut: boolean
  /** Its storage can't be reached. */
  isWithoutStorage: boolean
  isOff: boolean
  /** Starts fail on it. */
  failsStarts: boolean
  configurationRevision: number
  highestKnownRevision: number
  storeIncarnation: string | null
  readonly machines: Map<VmId, Machine>
  /** Starts up to these epochs are void in this session. */
  readonly released: Map<VmId, number>
}

export function makeFakeHost(spec: HostSpec, armed: Armed, session: SessionId): FakeHost {
  return {
    spec,
    session,
    bootId: `boot-${spec.name}-1`,
    armed,
    memoryMiB: 4096,
    isCut: false,
    isWithoutStorage: false,
    isOff: false,
    failsStarts: false,
    configurationRevision: 0,
    highestKnownRevision: 0,
    storeIncarnation: null,
    machines: new Map(),
    released: new Map(),
  }
}

/** True while its vCPUs may write to its disks. */
export function isWriting(machine: Machine | undefined): boolean {
  return machine?.phase === 'running' || machine?.phase === 'stopping' || machine?.phase === 'restarting'
}

export function reportOf(vmId: VmId, { epoch, phase, guestShutdown, order }: Machine): MachineReport {
  return {
    vmId,
    epoch,
    incarnation: 0,
    phase,
    pid: phase === 'running' ? 1 : null,
    detail: '',
    guestShutdown,
    leased: order.leased,
    crashes: 0,
  }
}
