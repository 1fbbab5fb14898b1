/** What the engine asks of agents, fence devices and chance. The controller connects it to the network; the simulator to simulated hosts. */
import type { Inventory } from '../model/agent-protocol/agent-contract.ts'
import type { HostSpec } from '../model/host.ts'
import type { SessionId, StorageId, VmId, VolumeId } from '../model/ids.ts'
import type { DiskFormat, MachineOrder, OrderAuthority } from '../model/machine-order.ts'
import type { Pill } from '../model/protection/pill.ts'

/** Every call has a deadline and throws DialtoneError: `host-unreachable`, `deadline-exceeded`, or what the agent refused with. */
export type AgentPort = {
  startMachine(
    host: HostSpec,
    order: { readonly authority: OrderAuthority; readonly epoch: number; readonly machine: MachineOrder },
  ): Promise<void>
  stopMachine(host: HostSpec, order: MachineOrderHead & { readonly mode: 'shutdown' | 'kill' }): Promise<void>
  changeMachine(
    host: HostSpec,
    order: MachineOrderHead & { readonly change: 'pause' | 'resume' | 'reset' },
  ): Promise<void>
  /** Answers only when it is true; the answer is a proof. */
  releaseMachine(
    host: HostSpec,
    order: { readonly vmId: VmId; readonly authority: OrderAuthority; readonly upToEpoch: number },
  ): Promise<{ readonly session: SessionId; readonly upToEpoch: number }>
  createVolume(host: HostSpec, order: VolumeOrder): Promise<void>
  deleteVolume(
    host: HostSpec,
    order: { readonly authority: OrderAuthority; readonly volumeId: VolumeId; readonly storageId: StorageId },
  ): Promise<void>
  /** Durable and read back when it returns. A null pill clears the slot. */
  writePill(
    host: HostSpec,
    order: {
      readonly authority: OrderAuthority
      readonly storageId: StorageId
      readonly slot: number
      readonly pill: Pill | null
    },
  ): Promise<void>
  inventory(host: HostSpec): Promise<Inventory>
}

export type MachineOrderHead = { readonly vmId: VmId; readonly authority: OrderAuthority; readonly epoch: number }

export type VolumeOrder = {
  readonly authority: OrderAuthority
  readonly volumeId: VolumeId
  readonly storageId: StorageId
  readonly format: DiskFormat
  readonly sizeMiB: number
  readonly baseVersion: string | null
}

export type FencePort = {
  /** Switches the host off and reads the state back; throws when it isn't off. Bounded in time. */
  switchOff(host: HostSpec): Promise<void>
}

/** Random bytes, as an argument. */
export type RandomBytes = (count: number) => Uint8Array
