/**
 * One agent: its machines, its licence, its heartbeats and the orders it takes, put together from the drivers that `main.ts` chose. Needs
 * no memory of its own to be right: what runs is found again before the first heartbeat.
 */
import type { AgentContract } from '../model/agent-protocol/agent-contract.ts'
import type { Acknowledgement, AgentConfiguration, Heartbeat, HostFacts } from '../model/agent-protocol/heartbeat.ts'
import type { Clock } from '../model/clock.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { Armed } from '../model/host.ts'
import type { HostId, SessionId, StorageId } from '../model/ids.ts'
import type { Logger } from '../model/logger.ts'
import type { MachineOrder } from '../model/machine-order.ts'
import { defaultTimings } from '../model/timings.ts'
import type { Handlers } from '../transport/mount-contract.ts'
import { handleOrders } from './handle-orders.ts'
import { createPendingStarts } from './heartbeat/pending-starts.ts'
import { type HeartbeatSender, sendHeartbeats } from './heartbeat/send-heartbeats.ts'
import type { Hypervisor } from './hypervisor/hypervisor.ts'
import type { BootFiles, MachineCgroups } from './machines/machine-ports.ts'
import type { MachineRecords } from './machines/machine-record.ts'
import { createMachineRoom, type MachineRoom } from './machines/machine-room.ts'
import type { Network } from './network/network.ts'
import { createLicenceKeeper } from './protection/licence-keeper.ts'
import { readSlots, type SlotReader } from './protection/read-slots.ts'
import type { Storage } from './storage/storage.ts'
import type { WatchdogLink } from './watchdog/watchdog-link.ts'

export type AgentPorts = {
  readonly hostName: string
  readonly hostId: HostId
  readonly session: SessionId
  readonly bootId: string
  readonly facts: HostFacts
  readonly clock: Clock
  readonly logger: Logger
  readonly hypervisor: Hypervisor
  readonly records: MachineRecords
  readonly cgroups: MachineCgroups
  readonly network: Network
  readonly watchdog: WatchdogLink
  /** Opens a storage that the cluster's configuration names. */
  openStorage(storage: AgentConfiguration['storages'][number]): Storage
  bootFiles(machine: MachineOrder): Promise<BootFiles>
  /** A template's root disk on this host, fetched when it isn't here yet. */
  rootDisk(version: string): Promise<string>
  /** The configuration as it was last heard, so that slots are read also while no controller can be reached. */
  readonly lastConfiguration: AgentConfiguration | undefined
  keepConfiguration(configuration: AgentConfiguration): Promise<void>
  post(heartbeat: Heartbeat, timeoutMs: number): Promise<Acknowledgement>
  readonly signal: AbortSignal
}

export type Agent = {
  readonly room: MachineRoom
  readonly handlers: Handlers<AgentContract>
}

/** How often licences are applied; well within the margin that a freeze leaves. */
const licenceEveryMs = 50
const watchdogEveryMs = 150
const confirmWithinMs = 5_000

/** Finds its machines again, then begins to report. */
export async function startAgent(ports: AgentPorts): Promise<Agent> {
  const storages = new Map<StorageId, { readonly storage: Storage; readonly isShared: boolean }>()
  const pendingStarts = createPendingStarts(ports.clock)
  const licences = createLicenceKeeper({
    link: ports.watchdog,
    logger: ports.logger,
    timings: ports.lastConfiguration?.timings ?? defaultTimings,
  })
  let configuration = ports.lastConfiguration
  let slots: SlotReader | undefined
  let slotsEnd = new AbortController()
  let beats: HeartbeatSender | undefined
  let newest: { incarnation: string | null; revision: number } = { incarnation: null, revision: 0 }
  let armed: Armed = 'none'

  const room = createMachineRoom(ports.session, {
    ...ports,
    licences,
    storage: (storageId) => {
      const known = storages.get(storageId)
      if (known === undefined)
        throw new DialtoneError('storage-failed', `${ports.hostName} doesn't have the storage ${storageId}`)
      return known.storage
    },
    isShared: (storageId) => storages.get(storageId)?.isShared === true,
    confirmStart(life) {
      const isConfirmed = pendingStarts.wait(life, confirmWithinMs)
      beats?.beatSoon()
      return isConfirmed
    },
    reportSoon: () => beats?.beatSoon(),
  })

  const configure = (next: AgentConfiguration) => {
    configuration = next
    licences.setTimings(next.timings)
    for (const entry of next.storages) {
      if (!storages.has(entry.storageId))
        storages.set(entry.storageId, { storage: ports.openStorage(entry), isShared: entry.shared })
    }
    slotsEnd.abort()
    slotsEnd = new AbortController()
    const watches = next.storages
      .filter((entry) => entry.shared)
      .flatMap(({ storageId, slot }) => slotWatch(storageId, slot))
    const signal = AbortSignal.any([slotsEnd.signal, ports.signal])
    slots = readSlots(watches, { clock: ports.clock, logger: ports.logger, licences, hostId: ports.hostId, signal })
  }

  const slotWatch = (storageId: StorageId, slot: number) => {
    const known = storages.get(storageId)
    return known === undefined ? [] : [{ storageId, storage: known.storage, slot }]
  }

  const compose = (sequence: number): Heartbeat => {
    // A hardware watchdog that was armed once stays armed, also while its process is being restarted.
    if (ports.watchdog.armed() !== 'none') armed = ports.watchdog.armed()
    return {
      session: ports.session,
      bootId: ports.bootId,
      sequence,
      armed,
      facts: ports.facts,
      machines: [...room.reports()],
      pendingStarts: pendingStarts.list(),
      storages: (configuration?.storages ?? []).map(({ storageId, shared }) => ({
        storageId,
        probeAgeMs: shared ? (slots?.probeAgeMs(storageId) ?? null) : 0,
        pill: licences.hasPill(storageId),
      })),
      configurationRevision: configuration?.revision ?? 0,
      highestKnownRevision: newest.revision,
      highestKnownEpoch: room.highestEpoch(),
      storeIncarnation: newest.incarnation,
    }
  }

  const received = (
    acknowledgement: Acknowledgement,
    { heartbeat, sentAtMs }: { readonly heartbeat: Heartbeat; readonly sentAtMs: number },
  ) => {
    if (acknowledgement.configuration !== null) {
      configure(acknowledgement.configuration)
      beats?.beatSoon()
      void ports
        .keepConfiguration(acknowledgement.configuration)
        .catch((error: unknown) => ports.logger.error('configuration.not-kept', { error }))
    }
    newest = { incarnation: acknowledgement.storeIncarnation, revision: acknowledgement.storeRevision }
    if (acknowledgement.verdict === 'admitted') licences.acknowledged(sentAtMs)
    if (acknowledgement.verdict === 'fenced') void letGo(acknowledgement.reason)
    pendingStarts.answered(heartbeat.pendingStarts, acknowledgement)
  }

  const letGo = async (reason: string) => {
    try {
      await room.releaseLeased(`this host is fenced: ${reason}`)
    } catch (error) {
      // What could not be reaped loses its licence, and then the watchdog resets the host.
      ports.logger.error('host.could-not-let-go', { error })
    }
  }

  if (configuration !== undefined) configure(configuration)
  await waitForWatchdog(ports)
  await room.adoptAll()
  beats = sendHeartbeats({
    clock: ports.clock,
    logger: ports.logger,
    signal: ports.signal,
    timings: licences.timings,
    compose,
    post: ports.post,
    received,
  })
  void repeat(ports, licenceEveryMs, () => room.applyLicences())
  void repeat(ports, watchdogEveryMs, () => licences.tellWatchdog())
  const handlers = handleOrders({ hostId: ports.hostId, room, ports, storages })
  return { room, handlers }
}

/** Its hardware should be known as armed in the first heartbeat; a host without one goes on after a moment. */
async function waitForWatchdog(ports: AgentPorts): Promise<void> {
  const givesUpAtMs = ports.clock.bootTimeMs() + 3_000
  while (ports.watchdog.armed() === 'none' && ports.clock.bootTimeMs() < givesUpAtMs && !ports.signal.aborted) {
    await ports.clock.sleep(20, ports.signal)
  }
}

async function repeat(ports: AgentPorts, milliseconds: number, work: () => Promise<void>): Promise<void> {
  let isFailing = false
  while (!ports.signal.aborted) {
    try {
      await work()
      isFailing = false
    } catch (error) {
      if (!isFailing) ports.logger.warn('agent.repeat-failed', { error })
      isFailing = true
    }
    await ports.clock.sleep(milliseconds, ports.signal)
  }
}
