/**
 * The two ends of a move. Back: the destination has let go or is dead, then the source goes on. Forward: the destination runs it, and the
 * source has let go or is dead. Only then the record is closed, and everything else may decide on the machine again.
 */
import { isAnswering } from '../../model/cluster-state.ts'
import { DialtoneError, type ErrorCode } from '../../model/dialtone-error.ts'
import type { TaskId, VmId } from '../../model/ids.ts'
import { proofReaches } from '../../model/proof-reaches.ts'
import type { AgentPort } from '../agent-port.ts'
import type { HostTable } from '../hosts/host-table.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { headFor, hostName } from './migration-facts.ts'
import type { MigrationJournal } from './migration-journal.ts'
import { discardCopies } from './mirror-disks.ts'

export type MoveTools = { readonly leader: Leader; readonly agents: AgentPort; readonly table: HostTable }
type MoveOf = { readonly vmId: VmId; readonly signal: AbortSignal }

const askAgainMs = 200
/** Agents tell at once what has changed; one that doesn't is not waited for any longer. */
const reportedWithinMs = 1_000
/** How often a destination may refuse to let it run, some fifths of a second apart. */
const completionsTried = 10
/** What says nothing about the machine, and may pass by itself. */
const passing: readonly ErrorCode[] = [
  'host-unreachable',
  'deadline-exceeded',
  'session-void',
  'licence-lost',
  'not-leader',
]

/** Undoes the move, or finishes it if its owner has changed already. Resolves when the record is closed. */
export async function goBack(
  tools: MoveTools,
  { vmId, taskId, signal }: MoveOf & { readonly taskId: TaskId },
): Promise<void> {
  const { leader, agents } = tools
  const isOurs = () => leader.index.state().vms.get(vmId)?.migration?.taskId === taskId
  if (!isOurs()) return
  if (leader.index.state().vms.get(vmId)?.migration?.phase === 'switched') {
    await completeMove(tools, { vmId, signal })
    await letSourceGo(tools, { journal: { vmId, wishedHostId: null, reason: '' }, user: null, signal })
    return
  }
  const abandon = async (isAloneHere: boolean) => {
    const { host, head } = headFor(leader, vmId, 'source')
    await agents.abandonDeparture(host, { ...head, isAloneHere })
  }
  // At once, as far as it can be: what was not handed over goes on without waiting for anybody.
  await abandon(false).catch((error: unknown) => leader.logger.warn('migration.not-abandoned', { vmId, error }))
  await untilLetGo(tools, { vmId, side: 'destination', signal })
  for (;;) {
    if (!isOurs() || signal.aborted) return
    const isDone = isDeadOn(leader, vmId, 'source') || (await abandon(true).then(() => true, isGone))
    if (isDone) break
    await leader.clock.sleep(askAgainMs, signal)
  }
  const { spec, migration } = leader.index.state().vms.get(vmId) ?? {}
  if (spec === undefined || migration === undefined) return
  const message = `it stays on ${hostName(leader, migration.sourceHostId)}`
  await close(leader, vmId, { kind: 'vm.migration-undone', subject: spec.name, message, vmId }, migration.epoch)
}

/** Any other answer of its agent means that there is nothing there to be continued: that is the ordinary loops' business. */
function isGone(error: unknown): boolean {
  return error instanceof DialtoneError && !isUnreachable(error)
}

function isUnreachable(error: unknown): boolean {
  return error instanceof DialtoneError && passing.includes(error.code)
}

/** Since when it runs at its destination; null when it doesn't, or nobody knows. */
export async function completeMove(tools: MoveTools, { vmId, signal }: MoveOf): Promise<number | null> {
  const { leader, agents } = tools
  let failures = 0
  for (;;) {
    signal.throwIfAborted()
    const state = leader.index.state()
    const migration = state.vms.get(vmId)?.migration
    if (migration === undefined || isDeadOn(leader, vmId, 'destination')) return null
    // Another session has let it run already, or has nothing of it.
    if (state.hosts.get(migration.destinationHostId)?.status.session !== migration.session) return null
    try {
      const { host, head } = headFor(leader, vmId, 'destination')
      return (await agents.completeArrival(host, head)).resumedAtMs
    } catch (error) {
      leader.logger.warn('migration.not-completed', { vmId, error })
      if (!isUnreachable(error)) failures += 1
      if (failures >= completionsTried) {
        // What came can't be let run: it ends, and the machine is brought back like any other that died there.
        await untilLetGo(tools, { vmId, side: 'destination', signal })
        return null
      }
    }
    await leader.clock.sleep(askAgainMs, signal)
  }
}

/** Closes the record once the source has let go, and tells what the move was like. */
export async function letSourceGo(
  tools: MoveTools,
  {
    journal,
    user,
    signal,
  }: { readonly journal: MigrationJournal; readonly user: string | null; readonly signal: AbortSignal },
): Promise<Partial<MigrationJournal>> {
  const { leader } = tools
  const { vmId } = journal
  await untilLetGo(tools, { vmId, side: 'source', signal })
  await untilReported(tools, { vmId, signal })
  const { spec, migration } = leader.index.state().vms.get(vmId) ?? {}
  if (spec === undefined || migration === undefined) return {}
  const figures = figuresOf(journal)
  const from = hostName(leader, migration.sourceHostId)
  const to = hostName(leader, migration.destinationHostId)
  const summary = `moved from ${from} to ${to}${describe(figures)}`
  await close(leader, vmId, {
    kind: 'vm.migrated',
    subject: spec.name,
    message: summary,
    vmId,
    hostId: migration.destinationHostId,
    ...(user === null ? {} : { user }),
    detail: figures,
  })
  return { summary }
}

type MigrationFigures = {
  readonly totalMs: number | null
  readonly pauseMs: number | null
  readonly sentBytes: number | null
  readonly method: string | null
}

/** The pause is between the two events of QEMU, by the clocks of two hosts: a figure, and nothing is decided by it. */
function figuresOf({ departure, beganAtMs, completedAtMs, resumedAtMs }: MigrationJournal): MigrationFigures {
  const stoppedAtMs = departure?.stoppedAtMs
  const isTimed = stoppedAtMs !== null && stoppedAtMs !== undefined && resumedAtMs !== null && resumedAtMs !== undefined
  return {
    totalMs: beganAtMs === undefined || completedAtMs === undefined ? null : Math.round(completedAtMs - beganAtMs),
    pauseMs: isTimed ? Math.round((resumedAtMs - stoppedAtMs) * 10) / 10 : null,
    sentBytes: departure?.transferredBytes ?? null,
    method: departure?.method ?? null,
  }
}

function describe({ totalMs, pauseMs, sentBytes, method }: MigrationFigures): string {
  if (totalMs === null) return ''
  const pause = pauseMs === null ? '' : `, it stood still for ${Math.round(pauseMs)} ms`
  const sent = sentBytes === null || method === null ? '' : `, ${Math.round(sentBytes / 2 ** 20)} MiB by ${method}`
  return ` in ${totalMs} ms${pause}${sent}`
}

/** What both hosts said last is older than the move for a moment: nobody is to decide by that. */
async function untilReported({ leader, table }: MoveTools, { vmId, signal }: MoveOf): Promise<void> {
  const migration = leader.index.state().vms.get(vmId)?.migration
  const givesUpAtMs = leader.clock.bootTimeMs() + reportedWithinMs
  while (migration !== undefined && leader.clock.bootTimeMs() < givesUpAtMs) {
    const isGone = table.report(migration.sourceHostId, vmId)?.epoch !== migration.sourceEpoch
    const there = table.report(migration.destinationHostId, vmId)
    if (isGone && there?.epoch === migration.epoch && there.phase !== 'starting') return
    await leader.clock.sleep(20, signal)
  }
}

type Side = { readonly side: 'source' | 'destination' }

/** Resolves when the host has answered that it is reaped, or is proven dead. */
async function untilLetGo({ leader, agents }: MoveTools, { vmId, side, signal }: MoveOf & Side): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const vm = leader.index.state().vms.get(vmId)
    if (vm?.migration === undefined || isDeadOn(leader, vmId, side)) return
    try {
      const { host, head } = headFor(leader, vmId, side)
      const record = leader.index.state().hosts.get(host.id)
      if (record !== undefined && isAnswering(record)) {
        const { authority, epoch } = head
        await agents.releaseMachine(host, { vmId, authority, upToEpoch: epoch })
        return
      }
    } catch (error) {
      leader.logger.warn('migration.not-let-go', { vmId, side, error })
    }
    await leader.clock.sleep(askAgainMs, signal)
  }
}

function isDeadOn(leader: Leader, vmId: VmId, side: Side['side']): boolean {
  const state = leader.index.state()
  const vm = state.vms.get(vmId)
  if (vm?.migration === undefined) return true
  const { sourceHostId, destinationHostId } = vm.migration
  const proof = state.hosts.get(side === 'source' ? sourceHostId : destinationHostId)?.status.proof
  return proof !== null && proof !== undefined && proofReaches(vm, proof)
}

/** `spentEpoch`: of a move that was undone. It is never given out again. */
// oxlint-disable-next-line max-params -- the record, what is told of it, and what is left of it.
async function close(
  leader: Leader,
  vmId: VmId,
  event: Parameters<Leader['events']['write']>[0],
  spentEpoch?: number,
): Promise<void> {
  const gone = { kind: 'delete' as const, key: keys.vmMigration(vmId) }
  const told = leader.events.write(event)
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const { placement, migration } = leader.index.state().vms.get(vmId) ?? {}
    const key = keys.vmPlacement(vmId)
    const conditions = [unchanged(leader, key), unchanged(leader, gone.key)]
    const isToBeNoted = placement !== undefined && spentEpoch !== undefined
    const noted = isToBeNoted ? [put(key, { ...placement, spentEpoch })] : []
    const left =
      spentEpoch === undefined ? [] : discardCopies(leader, migration, 'it was copied there for a move that was undone')
    const result = await commitAndSee(leader, { conditions, writes: [gone, told, ...noted, ...left] })
    if (result.kind === 'committed' || leader.index.state().vms.get(vmId)?.migration === undefined) return
    await leader.clock.sleep(2)
  }
  throw new DialtoneError('conflict', 'the end of a move could not be written')
}
