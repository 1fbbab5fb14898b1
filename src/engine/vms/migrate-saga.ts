/**
 * Moves a machine to another host while it runs (docs/architecture.md, 4.7). The record of the move says who may hold the machine: until the
 * store has changed its owner, everything is undone and it goes on at its source; after that, everything is finished, and the source never
 * runs it again.
 */
import type { DepartureReport } from '../../model/agent-protocol/migration-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import { longestMoveMs } from '../../model/migration/migration-method.ts'
import type { AgentPort } from '../agent-port.ts'
import { answerOfLiving } from '../hosts/answer-of-living.ts'
import type { Leader } from '../leader.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import { completeMove, goBack, letSourceGo, type MoveTools } from './end-migration.ts'
import { followArrival } from './follow-arrival.ts'
import { machineOrderOf } from './machine-order-of.ts'
import { headFor, requireGoingOn } from './migration-facts.ts'
import { type MigrationJournal, migrationJournalSchema } from './migration-journal.ts'
import { atDestination, copiedDisksOf, longestCopyMs, makeCopies, untilPlacesAreClear } from './mirror-disks.ts'
import { type OpenOptions, openMigration } from './open-migration.ts'
import { switchOwner } from './switch-owner.ts'

export type MigrateSagaOptions = OpenOptions & {
  readonly agents: AgentPort
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
        timeoutMs: 24 * 3_600_000,
        run: async (context) => {
          await untilPlacesAreClear(leader, context)
          return openMigration(leader, options, context)
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
        name: 'follow',
        isRepeated: true,
        message: 'waits until all of it is there, and answers',
        timeoutMs: 24 * 3_600_000,
        run: ({ journal, signal }) => followArrival(tools, journal, signal),
      },
      {
        name: 'let-go',
        isRepeated: true,
        message: 'waits until its old host has let go of it',
        timeoutMs: 24 * 3_600_000,
        run: ({ journal, task, signal }) => letSourceGo(tools, { journal, user: task.user, signal }),
      },
      {
        name: 'account',
        message: 'tells what it was like',
        timeoutMs: 10_000,
        run: failIfLost,
      },
    ],
  })
}

/** It is where it was to go, and what was promised with that was not kept. */
async function failIfLost({ journal: { lost, summary } }: StepContext<MigrationJournal>): Promise<void> {
  if (typeof lost === 'string') throw new DialtoneError('hypervisor-failed', summary ?? lost)
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
      const departing = await answerOfLiving(leader, source.host, () =>
        agents.prepareDeparture(source.host, source.head),
      )
      const destination = headFor(leader, vmId, 'destination')
      const machine = { ...machineOrderOf(atDestination(vm, migration)), start: 'boot' as const }
      const copied = copiedDisksOf(leader, migration)
      const { sourceHostId } = migration
      const order = { ...destination.head, machine, sourceHostId, departing, copied }
      const { host } = destination
      const { canPostCopy } = await answerOfLiving(leader, host, () => agents.expectArrival(host, order))
      return { departing, canPostCopy }
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
  const { resumedAtMs, lost } = await completeMove(tools, { vmId, signal })
  return { resumedAtMs, lost, completedAtMs: tools.leader.clock.wallTime().getTime() }
}

/** Follows it until it may run at its destination. Whatever speaks against going on ends it here. */
async function send(
  leader: Leader,
  agents: AgentPort,
  { journal: { vmId, canPostCopy = false }, signal, progress }: StepContext<MigrationJournal>,
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
  const departing = { ...first.head, target, copied: copiedDisksOf(leader, migration), canPostCopy }
  let report = await answerOfLiving(leader, first.host, () => agents.depart(first.host, departing))
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
  if (report.state === 'sent' || report.state === 'following') return report
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
