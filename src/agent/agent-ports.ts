/** What an agent depends on: `main.ts` gives it the real ones, the simulator simulated ones. */
import type { Duplex } from 'node:stream'
import type { Acknowledgement, AgentConfiguration, Heartbeat, HostFacts } from '../model/agent-protocol/heartbeat.ts'
import type { DepartureTarget } from '../model/agent-protocol/migration-orders.ts'
import type { Clock } from '../model/clock.ts'
import type { HostId, IsoId, SessionId, VmId, VolumeId } from '../model/ids.ts'
import type { Logger } from '../model/logger.ts'
import type { MachineOrder } from '../model/machine-order.ts'
import type { HostCommands } from './host-commands/host-commands.ts'
import type { Hypervisor } from './hypervisor/hypervisor.ts'
import type { BootFiles, MachineCgroups } from './machines/machine-ports.ts'
import type { MachineRecords } from './machines/machine-record.ts'
import type { MemoryImageCache } from './memory-images/memory-image-cache.ts'
import type { GuardedNetwork } from './network/guarded-network.ts'
import type { CheckOnce } from './probes/prober.ts'
import type { ClearedSlots } from './protection/cleared-slots.ts'
import type { RungOutcomes } from './recovery/rung-outcomes.ts'
import type { Storage } from './storage/storage.ts'
import type { WatchdogLink } from './watchdog/watchdog-link.ts'

export type AgentPorts = {
  readonly hostName: string
  readonly hostId: HostId
  readonly session: SessionId
  /** Its number among the agents of this host: higher than those before it. */
  readonly agentLife: number
  readonly bootId: string
  /** Of the agent's own process. */
  readonly pid: number
  readonly facts: HostFacts
  readonly clock: Clock
  readonly logger: Logger
  readonly hypervisor: Hypervisor
  readonly records: MachineRecords
  readonly cgroups: MachineCgroups
  readonly network: GuardedNetwork
  readonly watchdog: WatchdogLink
  readonly clearedSlots: ClearedSlots
  readonly images: MemoryImageCache
  readonly outcomes: RungOutcomes
  readonly hostCommands: HostCommands
  randomBytes(count: number): Uint8Array
  /** Size and SHA-256 of a file of this host. */
  hashFile(path: string): Promise<{ readonly bytes: number; readonly sha256: string }>
  openStreamTo(target: DepartureTarget, vmId: VmId): Promise<Duplex>
  openDiskStreamTo(target: DepartureTarget, disk: { readonly vmId: VmId; readonly volumeId: VolumeId }): Promise<Duplex>
  sendSignal(pid: number, signal: 'SIGKILL' | 'SIGSTOP'): void
  checkOnce: CheckOnce
  /** Opens a storage that the cluster's configuration names. */
  openStorage(storage: AgentConfiguration['storages'][number]): Storage
  bootFiles(machine: MachineOrder): Promise<BootFiles>
  discPath(isoId: IsoId): Promise<string>
  makeSeed(machine: MachineOrder, path: string): Promise<void>
  /** A template's root disk on this host, fetched when it isn't here yet. */
  rootDisk(version: string): Promise<string>
  /** The configuration as it was last heard, so that slots are read also while no controller can be reached. */
  readonly lastConfiguration: AgentConfiguration | undefined
  keepConfiguration(configuration: AgentConfiguration): Promise<void>
  /** The leader knows a newer agent of this host, by this number. This one ends, and its supervisor starts the next, whose number is higher. */
  replaced(knownLife: number): void
  post(heartbeat: Heartbeat, timeoutMs: number): Promise<Acknowledgement>
  /** Says who this host is to a controller that does not know it any more, with what the one before has told it. */
  introduce(configuration: AgentConfiguration | null): Promise<void>
  readonly signal: AbortSignal
}
