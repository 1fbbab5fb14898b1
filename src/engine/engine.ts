/** Puts the engine together: one leader's term, from its first look to its last. The controller feeds it heartbeats and wishes. */
import type {
  Acknowledgement,
  AgentConfiguration,
  Heartbeat,
  StandbyReport,
} from '../model/agent-protocol/heartbeat.ts'
import type { Clock } from '../model/clock.ts'
import type { HostObservation } from '../model/cluster-state.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { type HostId, hostIdSchema, type VmId, vmIdSchema } from '../model/ids.ts'
import type { Logger } from '../model/logger.ts'
import type { Proof } from '../model/proof.ts'
import type { Store } from '../store/store.ts'
import type { AgentPort, FencePort, RandomBytes } from './agent-port.ts'
import { changeSagas } from './changes/change-sagas.ts'
import { type ChangeKeeper, createChangeKeeper } from './changes/keep-changes.ts'
import { drillSaga } from './drills/drill-saga.ts'
import { createHeartbeatDesk } from './hosts/admit-heartbeat.ts'
import { createAgentConfigurations } from './hosts/agent-configurations.ts'
import { createHostFencer, type HostFencer } from './hosts/fence-hosts.ts'
import { createHostTable, type HostTable } from './hosts/host-table.ts'
import { settleTimings } from './hosts/settle-timings.ts'
import { type Leader, takeTerm } from './leader.ts'
import { createLedgerKeeper, type LedgerKeeper } from './ledger/keep-ledger.ts'
import { noteTransitions } from './ledger/note-transitions.ts'
import { evacuateHostSaga } from './maintenance/evacuate-host.ts'
import type { MigrateVm } from './maintenance/migrate-vm.ts'
import { restartElsewhereSaga } from './maintenance/restart-elsewhere.ts'
import { updateSagas } from './maintenance/update-host.ts'
import { createManifestKeeper, type ManifestKeeper } from './manifests/keep-manifests.ts'
import { createServiceKeeper, type ServiceKeeper } from './services/keep-services.ts'
import { restartCellSaga } from './services/restart-cell-saga.ts'
import { deleteSnapshotSaga } from './snapshots/delete-snapshot-saga.ts'
import { createScheduleKeeper, type ScheduleKeeper } from './snapshots/keep-schedules.ts'
import { revertSaga } from './snapshots/revert-saga.ts'
import { snapshotSetSaga } from './snapshots/snapshot-set-saga.ts'
import { createSnapshotTasks, type SnapshotTasks } from './snapshots/snapshot-tasks.ts'
import { type SnapshotSagaOptions, takeSnapshotSaga } from './snapshots/take-snapshot-saga.ts'
import { openClusterIndex } from './state/cluster-index.ts'
import { createForgottenClaims } from './state/forgotten-claims.ts'
import { createEventLedger } from './state/ledger-of-events.ts'
import { createStoreCheck } from './state/store-check.ts'
import type { RunnableSaga } from './tasks/saga.ts'
import { createTaskRunner, type TaskRunner } from './tasks/task-runner.ts'
import { attachDiskSaga } from './vms/attach-disk-saga.ts'
import { captureSaga } from './vms/capture-task.ts'
import { createVmSaga } from './vms/create-vm.ts'
import { deleteVmSaga } from './vms/delete-vm.ts'
import { detachSagas } from './vms/detach-saga.ts'
import { createStandbyKeeper, type StandbyKeeper } from './vms/keep-standbys.ts'
import { createLiveMigration } from './vms/live-migration.ts'
import { powerSagas } from './vms/power-task.ts'
import { createVmReconciler, type VmReconciler } from './vms/reconcile-vms.ts'
import { recoverSaga } from './vms/recover-task.ts'
import { createDiscardKeeper, type DiscardKeeper } from './volumes/delete-discards.ts'
import { moveVolumeSaga } from './volumes/move-volume-saga.ts'
import { waitOrAbort } from './wait-or-abort.ts'

/** How often silence is counted and hosts are looked at. */
const lookEveryMs = 50
/** How often it is looked whether a snapshot is due. */
const scheduleLookEveryMs = 2_000

export type Engine = {
  readonly leader: Leader
  readonly tasks: TaskRunner
  readonly ledger: LedgerKeeper
  /** What the chosen host says of the machine that it would take over. */
  standbyReport(vmId: VmId): StandbyReport | undefined
  receiveHeartbeat(hostId: HostId, heartbeat: Heartbeat): Promise<Acknowledgement>
  confirmHostDead(hostId: HostId, user: string): Promise<Proof>
  observation(hostId: HostId): HostObservation
  hasReported(hostId: HostId): boolean
  /** Sentences on what is on hold, and why. */
  holds(): readonly string[]
  configurationFor(hostId: HostId): AgentConfiguration
  /** What is known of each machine at this moment, for plans. */
  questions: VmReconciler['questions']
  readonly migrate: MigrateVm
  readonly snapshots: SnapshotTasks
  readonly changes: ChangeKeeper
  /** Machines whose manifest beside their disks could not be written, each with the reason. */
  manifestsBehind: ManifestKeeper['behind']
}

export type EngineOptions = {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly randomBytes: RandomBytes
  readonly agents: AgentPort
  readonly fences: FencePort
  readonly signal: AbortSignal
  /** Sagas of the controller's own, such as the building of templates. */
  moreSagas(leader: Leader, tasks: () => TaskRunner, epochs: { epochFloor(): number }): readonly RunnableSaga[]
  /** How machines are moved while they run, where it isn't by live migration. */
  migrateVm?(leader: Leader, tasks: () => TaskRunner): MigrateVm
}

/** Takes the next term and leads until the signal aborts. The cluster has to be in the store already. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { clock, logger, agents, signal } = options
  const leader = await takeTheLead(options)
  const table = createHostTable(leader.startedAtMs)
  const forgotten = createForgottenClaims(leader, agents, (hostId) => touchHost(hostId))
  const check = createStoreCheck(leader, table, forgotten)
  const wakeUp = createBell()
  const { configurationFor, knowsFirewall } = createAgentConfigurations(leader, table)
  const { startsOnHold, epochFloor } = check
  const reconciler = createVmReconciler({ leader, table, agents, ...check, knowsFirewall, wake: wakeUp.ring })
  const touchHost = (hostId: HostId) => {
    reconciler.touchHost(hostId)
    wakeUp.ring()
  }
  const ledger = createLedgerKeeper(leader)
  const fencer = createHostFencer({ leader, table, agents, fences: options.fences, wake: touchHost })
  const desk = createHeartbeatDesk({
    leader,
    table,
    agents,
    isBeingFenced: fencer.isBeingFenced,
    fencingEnded: fencer.fencingEnded,
    configurationFor,
    startsOnHold,
    storeRecords: ledger.storeRecords,
    wake: touchHost,
  })
  const moves = { agents, table, startsOnHold, epochFloor, knowsFirewall }
  const migrate = options.migrateVm?.(leader, () => tasks) ?? createLiveMigration(leader, () => tasks, moves)
  const tasks: TaskRunner = createTaskRunner(leader, [
    ...sagasOf(leader, options, ledger),
    ...options.moreSagas(leader, () => tasks, { epochFloor }),
    ...movingSagas({ leader, tasks: () => tasks, migrate, agents }),
    ...snapshotSagas(leader, { agents, epochFloor }, () => tasks),
  ])
  const { schedules, services, ...keepers } = taskKeepers(leader, agents, tasks)
  noteTransitions({ leader, ledger, table })
  const loops = { ...diskKeepers(leader, table, agents), schedules, services, ...keepers }
  follow({ leader, tasks, table, fencer, reconciler, ...loops, configurationFor, bell: wakeUp })
  logger.info('leader.began', { term: leader.term })

  return {
    leader,
    tasks,
    ledger,
    standbyReport: (vmId) => standbyReportOf(leader, table, vmId),
    async receiveHeartbeat(hostId, heartbeat) {
      if (signal.aborted) throw new DialtoneError('not-leader', 'this controller leads no more')
      check.note(hostId, heartbeat)
      return desk.receive(hostId, heartbeat)
    },
    confirmHostDead: (hostId, user) => fencer.acceptWord(hostId, user),
    observation: (hostId) => table.observation(hostId, clock.bootTimeMs()),
    hasReported: (hostId) => table.hasReported(hostId),
    holds: () => [check.startsOnHold()].filter((hold) => hold !== undefined),
    configurationFor,
    questions: reconciler.questions,
    migrate,
    manifestsBehind: loops.manifests.behind,
    ...keepers,
  }
}

function standbyReportOf({ index }: Leader, table: HostTable, vmId: VmId): StandbyReport | undefined {
  const hostId = index.state().vms.get(vmId)?.standby?.hostId
  return hostId === undefined ? undefined : table.heartbeat(hostId)?.standbys.find((report) => report.vmId === vmId)
}

async function takeTheLead({ store, clock, logger, randomBytes, signal }: EngineOptions): Promise<Leader> {
  let term = await takeTerm(store)
  const riseAbove = async (known: number) => {
    if (known < term || signal.aborted) return
    const before = term
    term = await takeTerm(store, known)
    logger.warn('leader.rose', { from: before, to: term })
  }
  const index = await openClusterIndex(store, { signal })
  const events = createEventLedger(store, { clock, logger })
  const startedAtMs = clock.bootTimeMs()
  return {
    get term() {
      return term
    },
    riseAbove,
    startedAtMs,
    store,
    index,
    events,
    clock,
    logger,
    randomBytes,
    signal,
  }
}

function sagasOf(leader: Leader, { agents, fences }: EngineOptions, ledger: LedgerKeeper): readonly RunnableSaga[] {
  return [
    createVmSaga(leader, agents),
    deleteVmSaga(leader, agents),
    captureSaga(leader, agents),
    moveVolumeSaga(leader, agents),
    recoverSaga(leader, agents, ledger),
    restartCellSaga(leader, { agents, ledger }),
    drillSaga(leader, { agents, fences, ledger }),
    attachDiskSaga(leader, agents),
    ...detachSagas(leader, agents),
    ...powerSagas(leader),
  ]
}

function diskKeepers(leader: Leader, table: HostTable, agents: AgentPort) {
  return {
    standbys: createStandbyKeeper({ leader, table, agents }),
    discards: createDiscardKeeper({ leader, agents }),
    manifests: createManifestKeeper(leader, agents),
  }
}

/** They begin tasks when it is time. */
function taskKeepers(leader: Leader, agents: AgentPort, tasks: TaskRunner) {
  const snapshots = createSnapshotTasks(leader, () => tasks)
  const changes = createChangeKeeper(leader, { agents, snapshotTasks: snapshots, tasks: () => tasks })
  const services = createServiceKeeper(leader, () => tasks)
  return { snapshots, changes, schedules: createScheduleKeeper(leader, snapshots), services }
}

function snapshotSagas(leader: Leader, options: SnapshotSagaOptions, tasks: () => TaskRunner): readonly RunnableSaga[] {
  return [
    takeSnapshotSaga(leader, options),
    deleteSnapshotSaga(leader, options),
    revertSaga(leader, options, tasks),
    snapshotSetSaga(leader, options, tasks),
    ...changeSagas(leader, options.agents, tasks),
  ]
}

function movingSagas(parts: Parameters<typeof updateSagas>[0]): readonly RunnableSaga[] {
  return [...parts.migrate.sagas, evacuateHostSaga(parts), restartElsewhereSaga(parts.leader), ...updateSagas(parts)]
}

type Followed = {
  readonly leader: Leader
  readonly tasks: TaskRunner
  readonly table: HostTable
  readonly fencer: HostFencer
  readonly reconciler: VmReconciler
  readonly standbys: StandbyKeeper
  readonly changes: ChangeKeeper
  readonly schedules: ScheduleKeeper
  readonly services: ServiceKeeper
  readonly discards: DiscardKeeper
  readonly manifests: ManifestKeeper
  configurationFor(hostId: HostId): AgentConfiguration
  readonly bell: Bell
}

/** Sets everything in motion: what changed is looked at, silence is counted, what waits is looked at again, tasks go on. */
function follow(followed: Followed): void {
  const { leader, tasks, table, fencer, reconciler, standbys, changes, schedules, services, bell } = followed
  const { discards, manifests } = followed
  const { index } = leader
  index.onChange((touched) => {
    for (const { noun, id } of touched) {
      if (noun === 'vm') reconciler.touch(vmIdSchema.parse(id))
      if (noun === 'host') reconciler.touchHost(hostIdSchema.parse(id))
    }
    bell.ring()
  })
  for (const vmId of index.state().vms.keys()) reconciler.touch(vmId)
  tasks.resumeAll()
  void every(lookEveryMs, leader, async (nowMs) => {
    table.tick(nowMs, 2 * lookEveryMs)
    await fencer.look()
  })
  void every(500, leader, async () => {
    reconciler.touchWaiting()
    bell.ring()
    manifests.look()
    await standbys.look()
    await changes.look()
    await discards.look()
    await services.look()
    await settleTimings({ leader, table, configurationFor: followed.configurationFor })
  })
  void every(scheduleLookEveryMs, leader, () => schedules.look())
  void runWhenRung(leader, bell, () => reconciler.run())
}

async function every(milliseconds: number, leader: Leader, look: (nowMs: number) => Promise<void>): Promise<void> {
  while (!leader.signal.aborted) {
    try {
      await look(leader.clock.bootTimeMs())
    } catch (error) {
      if (!leader.signal.aborted) leader.logger.error('engine.look-failed', { error })
    }
    await leader.clock.sleep(milliseconds, leader.signal)
  }
}

type Bell = { ring(): void; wait(leader: Leader): Promise<void> }

/** Rung as often as you like, heard once. */
function createBell(): Bell {
  let isRung = true
  let hear: (() => void) | undefined
  return {
    ring() {
      isRung = true
      hear?.()
    },
    async wait(leader) {
      if (!isRung) {
        const heard = new Promise<void>((resolve) => {
          hear = resolve
        })
        await waitOrAbort(heard, leader.signal)
      }
      isRung = false
    },
  }
}

async function runWhenRung(leader: Leader, bell: Bell, run: () => Promise<void>): Promise<void> {
  while (!leader.signal.aborted) {
    await bell.wait(leader)
    try {
      await run()
    } catch (error) {
      if (!leader.signal.aborted) leader.logger.error('engine.reconcile-failed', { error })
    }
  }
}
