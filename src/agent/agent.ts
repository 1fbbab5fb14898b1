/**
 * One agent: its machines, its licence, its heartbeats and the orders it takes, put together from the drivers that `main.ts` chose. Needs
 * no memory of its own to be right: what runs is found again before the first heartbeat.
 */
import { z } from 'zod'
import type { AgentContract } from '../model/agent-protocol/agent-contract.ts'
import type { Acknowledgement, AgentConfiguration, Heartbeat } from '../model/agent-protocol/heartbeat.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { defaultTimings } from '../model/timings.ts'
import type { Handlers } from '../transport/mount-contract.ts'
import type { AgentPorts } from './agent-ports.ts'
import { handleOrders } from './handle-orders.ts'
import { createPendingStarts, type PendingStarts } from './heartbeat/pending-starts.ts'
import { type HeartbeatSender, sendHeartbeats } from './heartbeat/send-heartbeats.ts'
import { createHostStorages, type HostStorages } from './host-storages.ts'
import { createMachineRoom, type MachineRoom } from './machines/machine-room.ts'
import { createLicenceKeeper, type LicenceKeeper } from './protection/licence-keeper.ts'
import { createRecoveryJournal, type RecoveryJournal } from './recovery/recovery-journal.ts'
import { sweepImages } from './recovery/sweep-images.ts'

export type Agent = {
  readonly room: MachineRoom
  readonly handlers: Handlers<AgentContract>
}

/** How often licences are applied; well within the margin that a freeze leaves. */
const licenceEveryMs = 80
/** How often the watchdog process hears from the agent when nothing has changed. */
const watchdogEveryMs = 200
const confirmWithinMs = 5_000
/** As long as the controller does not know this host. */
const introduceEveryMs = 2_000
/** How often copies of images are looked through for those of machines that were deleted. */
const sweepEveryMs = 10_000
/** How often it is looked how much is free on each storage. */
const roomEveryMs = 3_000

/** What changes while the agent lives. */
type AgentState = {
  beats: HeartbeatSender | undefined
  /** It was fenced, tried to end what it has, and has told that it could not. */
  couldNotLetGo: boolean
  /** What the agent that follows this one would know, too, and the watchdog process knows. */
  keptRevision: number
  /** The newest state of the store that was heard of: a store that knows less went back in time. */
  newest: { readonly incarnation: string | null; readonly revision: number }
}

type Parts = {
  readonly ports: AgentPorts
  readonly state: AgentState
  readonly room: MachineRoom
  readonly storages: HostStorages
  readonly licences: LicenceKeeper
  readonly journal: RecoveryJournal
  readonly pendingStarts: PendingStarts
}

/** Finds its machines again, then begins to report. */
export async function startAgent(ports: AgentPorts): Promise<Agent> {
  const state: AgentState = {
    beats: undefined,
    couldNotLetGo: false,
    keptRevision: ports.lastConfiguration?.revision ?? 0,
    newest: { incarnation: null, revision: 0 },
  }
  const pendingStarts = createPendingStarts(ports.clock)
  const timings = ports.lastConfiguration?.timings ?? defaultTimings
  const licences = createLicenceKeeper({
    link: ports.watchdog,
    logger: ports.logger,
    timings,
    agentPid: ports.pid,
    clearedSlots: ports.clearedSlots,
    earlierClearedByMs: ports.clock.bootTimeMs() + timings.drainMs,
  })
  const storages = createHostStorages(ports, licences)
  const journal = createRecoveryJournal(() => state.beats?.beatSoon())
  const room = createMachineRoom(ports.session, {
    ...ports,
    licences,
    journal,
    storage: storages.storage,
    isShared: storages.isShared,
    confirmStart(life) {
      const isConfirmed = pendingStarts.wait(life, confirmWithinMs)
      state.beats?.beatSoon()
      return isConfirmed
    },
    reportSoon: () => state.beats?.beatSoon(),
  })
  const parts: Parts = { ports, state, room, storages, licences, journal, pendingStarts }

  if (ports.lastConfiguration !== undefined) {
    storages.configure(ports.lastConfiguration)
    await ports.network.setPolicy(ports.lastConfiguration.firewall)
    await ports.network.configure(ports.lastConfiguration.networks)
  }
  await waitForWatchdog(ports)
  await waitForSlots(ports, storages)
  await room.adoptAll()
  state.beats = sendHeartbeats({
    clock: ports.clock,
    logger: ports.logger,
    signal: ports.signal,
    timings: licences.timings,
    compose: (sequence, unanswered) => composeHeartbeat(parts, { sequence, unanswered }),
    post: createPost(ports, () => storages.configuration() ?? null),
    received: (acknowledgement, sent) => takeIn(parts, acknowledgement, sent),
  })
  void repeat(ports, licenceEveryMs, () => room.applyLicences())
  void repeat(ports, watchdogEveryMs, () => licences.tellWatchdog())
  void repeat(ports, roomEveryMs, () => storages.measureRoom())
  void repeat(ports, sweepEveryMs, () =>
    sweepImages(
      ports.images,
      storages.all().map(([, storage]) => storage),
      ports.logger,
    ),
  )
  return { room, handlers: handleOrders({ hostId: ports.hostId, room, ports, storages, licences }) }
}

const replacedSchema = z.object({ agentLife: z.number().int() })

/**
 * One that the leader counts among the dead can do nothing here any more: orders and acknowledgements are for another. To one that has lost what
 * it knew of this host, it says who it is.
 */
function createPost(
  ports: AgentPorts,
  configuration: () => AgentConfiguration | null,
): (heartbeat: Heartbeat, timeoutMs: number) => Promise<Acknowledgement> {
  let introducedAtMs = Number.NEGATIVE_INFINITY
  const introduce = async () => {
    if (ports.clock.bootTimeMs() - introducedAtMs < introduceEveryMs) return
    introducedAtMs = ports.clock.bootTimeMs()
    await ports.introduce(configuration())
    ports.logger.info('host.introduced', {})
  }
  return async (heartbeat, timeoutMs) => {
    try {
      return await ports.post(heartbeat, timeoutMs)
    } catch (error) {
      if (error instanceof DialtoneError && error.code === 'session-replaced') {
        ports.logger.error('agent.replaced', { error })
        ports.replaced(replacedSchema.safeParse(error.detail).data?.agentLife ?? ports.agentLife)
      }
      if (error instanceof DialtoneError && error.code === 'not-found')
        introduce().catch((cause: unknown) => ports.logger.warn('host.not-introduced', { error: cause }))
      throw error
    }
  }
}

function composeHeartbeat(
  { ports, state, room, storages, licences, journal, pendingStarts }: Parts,
  { sequence, unanswered }: Pick<Heartbeat, 'sequence' | 'unanswered'>,
): Heartbeat {
  const configuration = storages.configuration()
  return {
    session: ports.session,
    agentLife: ports.agentLife,
    bootId: ports.bootId,
    sequence,
    unanswered,
    armed: ports.watchdog.armed(),
    facts: ports.facts,
    machines: [...room.reports()],
    pendingStarts: pendingStarts.list(),
    storages: (configuration?.storages ?? []).map(({ storageId }) => ({
      storageId,
      probeAgeMs: storages.probeAgeMs(storageId),
      pill: licences.hasPill(storageId),
      freeMiB: storages.freeMiB(storageId),
    })),
    standbys: [...room.standbys.reports()],
    records: [...journal.pending()],
    configurationRevision: state.keptRevision,
    highestKnownRevision: state.newest.revision,
    highestKnownEpoch: room.highestEpoch(),
    highestKnownTerm: room.highestTerm(),
    storeIncarnation: state.newest.incarnation,
  }
}

/** The leader counts on what it is told to be in force here: with these times, in this agent, the next one and the watchdog process. */
async function keep(
  { ports, state, licences }: Pick<Parts, 'ports' | 'state' | 'licences'>,
  configuration: AgentConfiguration,
): Promise<void> {
  await ports.keepConfiguration(configuration)
  await licences.tellWatchdog()
  state.keptRevision = configuration.revision
  state.beats?.beatSoon()
}

type Sent = { readonly heartbeat: Heartbeat; readonly sentAtMs: number }

function takeIn(
  { ports, state, room, storages, licences, journal, pendingStarts }: Parts,
  acknowledgement: Acknowledgement,
  { heartbeat, sentAtMs }: Sent,
): void {
  const { configuration, storeIncarnation: incarnation, storeRevision: revision, verdict } = acknowledgement
  if (configuration !== null) {
    storages.configure(configuration)
    ports.network
      .setPolicy(configuration.firewall)
      .catch((error: unknown) => ports.logger.error('firewall.not-in-force', { error }))
    void ports.network.configure(configuration.networks)
    keep({ ports, state, licences }, configuration).catch((error: unknown) =>
      ports.logger.error('configuration.not-kept', { error }),
    )
  }
  const isSameHistory = incarnation === state.newest.incarnation
  state.newest = { incarnation, revision: isSameHistory ? Math.max(revision, state.newest.revision) : revision }
  journal.stored(acknowledgement.recordsStoredUpTo)
  if (verdict === 'admitted') licences.acknowledged(sentAtMs)
  if (verdict === 'fenced') {
    // What could not be reaped loses its licence, and then the watchdog resets the host.
    const broke = (error: unknown) => {
      if (!state.couldNotLetGo) ports.logger.error('host.could-not-let-go', { error })
      state.couldNotLetGo = true
    }
    const letGo = () => {
      state.couldNotLetGo = false
    }
    room.releaseLeased(`this host is fenced: ${acknowledgement.reason}`).then(letGo, broke)
  }
  pendingStarts.answered(heartbeat.pendingStarts, acknowledgement)
}

/** Its hardware should be known as armed in the first heartbeat; a host without one goes on after a moment. */
async function waitForWatchdog(ports: AgentPorts): Promise<void> {
  const givesUpAtMs = ports.clock.bootTimeMs() + 3_000
  while (ports.watchdog.armed() === 'none' && ports.clock.bootTimeMs() < givesUpAtMs && !ports.signal.aborted) {
    await ports.clock.sleep(20, ports.signal)
  }
}

/**
 * The watchdog counts with what this agent tells it from its first word on: until then the last word of the agent before it holds. So the
 * slots are read before machines are taken over, or they would be seen without any licence. A slot that hangs is not waited for long.
 */
async function waitForSlots(ports: AgentPorts, storages: HostStorages): Promise<void> {
  const givesUpAtMs = ports.clock.bootTimeMs() + 1_000
  const isUnread = () => storages.all().some(([storageId]) => storages.probeAgeMs(storageId) === null)
  while (isUnread() && ports.clock.bootTimeMs() < givesUpAtMs && !ports.signal.aborted)
    await ports.clock.sleep(10, ports.signal)
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
