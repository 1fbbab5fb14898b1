/**
 * Moves a machine to another host while it runs (docs/architecture.md, 4.7). The record of the move says who may hold the machine: until the
 * store has changed its owner, everything is undone and it goes on at its source; after that, everything is finished, and the source never
 * runs it again.
 */
import { admitMigration } from '../../control/admit-migration.ts'
import { nextEpoch } from '../../control/next-epoch.ts'
import type { DepartureReport } from '../../model/agent-protocol/migration-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import { longestMoveMs } from '../../model/migration/migration-method.ts'
import type { VmMigration } from '../../model/migration/vm-migration.ts'
import type { AgentPort } from '../agent-port.ts'
import type { HostTable } from '../hosts/host-table.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import { completeMove, goBack, letSourceGo, type MoveTools } from './end-migration.ts'
import { machineOrderOf } from './machine-order-of.ts'
import { headFor, requireGoingOn } from './migration-facts.ts'
import { type MigrationJournal, migrationJournalSchema } from './migration-journal.ts'
import {
  atDestination,
  copiedDisksOf,
  copiesToMake,
  longestCopyMs,
  makeCopies,
  refuseUnclear,
  untilPlacesAreClear,
  wishOf,
} from './mirror-disks.ts'
import { switchOwner } from './switch-owner.ts'

export type MigrateSagaOptions = {
  readonly agents: AgentPort
  readonly table: HostTable
  startsOnHold(): string | undefined
  epochFloor(): number
  /** Whether this host has heard of the security groups of this machine. */
  knowsFirewall(hostId: HostId, vmId: VmId): boolean
}

const captureEndsWithinMs = 120_000
const lookAgainMs = 50
const askAgainMs = 500
const followMs = 250

export function migrateSaga(leader: Leader, options: MigrateSagaOptions): RunnableSaga {
  const { agents } = options
  const tools: MoveTools = { leader, agents, table: options.table }
  return defineSaga<MigrationJournal>({
    kind: 'vm.migrate',
    journalSchema: migrationJournalSchema,
    pointOfNoReturn: 'complete',
    steps: [
      {
        name: 'open',
        attempts: 4,
        message: 'chooses where to',
        timeoutMs: 30_000,
        run: async (context) => {
          await untilPlacesAreClear(leader, context)
          return open(leader, options, context)
        },
        undo: ({ task, journal, signal }) => goBack(tools, { vmId: journal.vmId, taskId: task.id, signal }),
      },
      {
        name: 'make-disks',
        message: 'makes the disks that go with it',
        timeoutMs: 600_000,
        run: (context) => makeCopies(leader, agents, context),
      },
      {
        name: 'prepare',
        message: 'makes a process that waits for it',
        timeoutMs: captureEndsWithinMs + 60_000,
        run: (context) => prepare(leader, options, context),
      },
      {
        // Sent, owned by the other, and run by it in one step: the machine stands still from the first to the last.
        name: 'move',
        message: 'sends its memory while it runs',
        timeoutMs: 24 * 3_600_000,
        run: (context) => move(leader, options, context),
      },
      {
        name: 'complete',
        isRepeated: true,
        message: 'lets it run there',
        timeoutMs: 600_000,
        run: async ({ journal, signal }) => {
          const isDone = journal.completedAtMs !== undefined
          return isDone ? {} : completed(tools, journal.vmId, signal)
        },
      },
      {
        name: 'let-go',
        isRepeated: true,
        message: 'waits until its old host has let go of it',
        timeoutMs: 24 * 3_600_000,
        run: ({ journal, task, signal }) => letSourceGo(tools, { journal, user: task.user, signal }),
      },
    ],
  })
}

async function open(
  leader: Leader,
  { table, startsOnHold, epochFloor }: MigrateSagaOptions,
  { journal, task }: StepContext<MigrationJournal>,
): Promise<Partial<MigrationJournal>> {
  const state = leader.index.state()
  const vm = state.vms.get(journal.vmId)
  if (vm === undefined) throw new DialtoneError('not-found', 'the VM was deleted')
  const beganAtMs = leader.clock.wallTime().getTime()
  if (vm.migration?.taskId === task.id) return { beganAtMs }
  const { id } = vm.spec
  const conditions = [keys.vm(id), keys.vmPlacement(id), keys.vmMigration(id), keys.vmOperation(id)]
  const hold = startsOnHold()
  if (hold !== undefined) throw new DialtoneError('wrong-state', hold)
  const verdict = admitMigration(state, vm, wishOf(journal))
  if (verdict.kind === 'refused') throw new DialtoneError(verdict.code, verdict.message, { detail: verdict.verdicts })
  refuseUnclear(state, verdict.copies)
  const { placement } = vm
  const destination = state.hosts.get(verdict.destinationHostId)
  const session = destination?.status.session
  if (placement === undefined || destination === undefined || session === null || session === undefined)
    throw new DialtoneError('conflict', `${vm.spec.name} was changed at the same time`)
  // Above what the destination has let go of: there an earlier attempt's epoch is void.
  const known = table.heartbeat(destination.spec.id)?.highestKnownEpoch ?? 0
  const migration: VmMigration = {
    taskId: task.id,
    sourceHostId: placement.hostId,
    sourceEpoch: placement.epoch,
    destinationHostId: destination.spec.id,
    epoch: Math.max(nextEpoch(vm), known + 1, epochFloor()),
    session,
    phase: 'moving',
    disks: [...copiesToMake(state, verdict.copies)],
    startedAt: leader.clock.wallTime().toISOString(),
    reason: journal.reason,
  }
  const source = state.hosts.get(placement.hostId)?.spec.name ?? placement.hostId
  const event = leader.events.write({
    kind: 'vm.migration-began',
    subject: vm.spec.name,
    message: `from ${source} to ${destination.spec.name}: ${journal.reason}; ${verdict.reason}`,
    vmId: vm.spec.id,
    hostId: destination.spec.id,
    user: task.user,
  })
  const result = await commitAndSee(leader, {
    conditions: [...conditions, keys.hostStatus(destination.spec.id)].map((key) => unchanged(leader, key)),
    writes: [put(keys.vmMigration(vm.spec.id), migration), event],
  })
  if (result.kind === 'conflict') throw new DialtoneError('conflict', `${vm.spec.name} was changed at the same time`)
  return { beganAtMs }
}

/** The source keeps it as it is and tells what it is; the destination makes the same. */
async function prepare(
  leader: Leader,
  { agents, knowsFirewall }: MigrateSagaOptions,
  { journal: { vmId }, signal, progress }: StepContext<MigrationJournal>,
): Promise<Partial<MigrationJournal>> {
  for (;;) {
    const { vm, migration } = requireGoingOn(leader, vmId)
    if (!knowsFirewall(migration.destinationHostId, vmId)) {
      await leader.clock.sleep(lookAgainMs, signal)
      signal.throwIfAborted()
      continue
    }
    const source = headFor(leader, vmId, 'source')
    try {
      const departing = await agents.prepareDeparture(source.host, source.head)
      const destination = headFor(leader, vmId, 'destination')
      const machine = { ...machineOrderOf(atDestination(vm, migration)), start: 'boot' as const }
      const copied = copiedDisksOf(leader, migration)
      const { sourceHostId } = migration
      await agents.expectArrival(destination.host, { ...destination.head, machine, sourceHostId, departing, copied })
      return { departing }
    } catch (error) {
      // An image is being captured: that ends.
      if (!(error instanceof DialtoneError) || error.code !== 'in-use') throw error
      progress(0, error.message)
      await leader.clock.sleep(askAgainMs, signal)
      signal.throwIfAborted()
    }
  }
}

async function move(
  leader: Leader,
  { agents, table, startsOnHold }: MigrateSagaOptions,
  context: StepContext<MigrationJournal>,
): Promise<Partial<MigrationJournal>> {
  const { vmId } = context.journal
  if (leader.index.state().vms.get(vmId)?.migration?.phase === 'switched') return {}
  const departure = await send(leader, agents, context)
  await switchOwner(leader, { vmId, startsOnHold, signal: context.signal })
  // From here on there is only forward, whoever cancels.
  return { departure, ...(await completed({ leader, agents, table }, vmId, leader.signal)) }
}

async function completed(tools: MoveTools, vmId: VmId, signal: AbortSignal): Promise<Partial<MigrationJournal>> {
  const resumedAtMs = await completeMove(tools, { vmId, signal })
  return { resumedAtMs, completedAtMs: tools.leader.clock.wallTime().getTime() }
}

/** Follows it until the destination has all of it. Whatever speaks against going on ends it here. */
async function send(
  leader: Leader,
  agents: AgentPort,
  { journal: { vmId }, signal, progress }: StepContext<MigrationJournal>,
): Promise<DepartureReport> {
  const { vm, migration } = requireGoingOn(leader, vmId)
  const destination = leader.index.state().hosts.get(migration.destinationHostId)?.spec
  if (destination === undefined) throw new DialtoneError('not-found', 'the destination is no host any more')
  const givesUpAtMs = leader.clock.bootTimeMs() + 2 * longestMoveMs(vm.spec.memoryMiB) + longestCopyMs(vm, migration)
  const target = {
    hostId: destination.id,
    hostName: destination.name,
    address: destination.address,
    port: destination.port,
  }
  const first = headFor(leader, vmId, 'source')
  let report = await agents.depart(first.host, { ...first.head, target, copied: copiedDisksOf(leader, migration) })
  while (report.state === 'moving') {
    signal.throwIfAborted()
    requireGoingOn(leader, vmId)
    if (leader.clock.bootTimeMs() > givesUpAtMs)
      throw new DialtoneError('deadline-exceeded', `${vm.spec.name} was not moved in time`)
    const { host, head } = headFor(leader, vmId, 'source')
    // A host that has fallen silent is not waited for until its answer is overdue.
    const answered = new AbortController()
    const followed = agents.followDeparture(host, { ...head, waitMs: followMs })
    const either = AbortSignal.any([signal, answered.signal])
    report = await Promise.race([followed, untilNotGoingOn(leader, vmId, either)]).finally(() => answered.abort())
    const { fraction, message } = describeProgress(report)
    progress(fraction, message)
  }
  if (report.state === 'sent') return report
  const why = report.state === 'failed' ? report.detail : 'its agent was restarted meanwhile'
  throw new DialtoneError('hypervisor-failed', `${vm.spec.name} could not be moved: ${why}`)
}

function describeProgress(report: DepartureReport): { readonly fraction: number; readonly message: string } {
  const { disks, transferredBytes, remainingBytes } = report
  const inMiB = (bytes: number) => Math.round(bytes / 2 ** 20)
  const copied = disks === null ? '' : `${inMiB(disks.copiedBytes)} of ${inMiB(disks.totalBytes)} MiB of its disks, `
  const sent = transferredBytes + (disks?.copiedBytes ?? 0)
  const all = transferredBytes + remainingBytes + (disks?.totalBytes ?? 0)
  const message = `${copied}${inMiB(transferredBytes)} MiB sent, ${inMiB(remainingBytes)} MiB left`
  return { fraction: sent / Math.max(1, all), message }
}

/** Rejects as soon as it is not to be moved any more, or nobody wants to know. */
async function untilNotGoingOn(leader: Leader, vmId: VmId, signal: AbortSignal): Promise<never> {
  while (!signal.aborted) {
    await leader.clock.sleep(2 * followMs, signal)
    if (!signal.aborted) requireGoingOn(leader, vmId)
  }
  throw new DialtoneError('cancelled', 'it is not waited for any more')
}
