/**
 * The two ends of a move. Back: the destination has let go or is dead, then the source goes on. Forward: the destination runs it, and the
 * source has let go or is dead. Only then the record is closed, and everything else may decide on the machine again.
 */
import type { ArrivalEnd } from '../../model/agent-protocol/migration-orders.ts'
import { isAnswering } from '../../model/cluster-state.ts'
import { DialtoneError, type ErrorCode } from '../../model/dialtone-error.ts'
import type { TaskId, VmId } from '../../model/ids.ts'
import type { VmMigration } from '../../model/migration/vm-migration.ts'
import { proofReaches } from '../../model/proof-reaches.ts'
import type { AgentPort } from '../agent-port.ts'
import { answerOfLiving } from '../hosts/answer-of-living.ts'
import type { HostTable } from '../hosts/host-table.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { accountOf } from './migration-account.ts'
import { headFor, hostName } from './migration-facts.ts'
import type { MigrationJournal } from './migration-journal.ts'
import { discardCopies } from './mirror-disks.ts'
import { switchOwner } from './switch-owner.ts'
import { hostHasReported } from './vm-facts.ts'

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
  if (await hasRunThere(tools, { vmId, signal }))
    await switchOwner(leader, { vmId, signal, startsOnHold: () => undefined, hasHappened: true })
  if (leader.index.state().vms.get(vmId)?.migration?.phase === 'switched') {
    await completeMove(tools, { vmId, signal })
    await letSourceGo(tools, { journal: { vmId, wishedHostId: null, reason: '' }, user: null, signal })
    return
  }
  const abandon = async (isAloneHere: boolean) => {
    const { host, head } = headFor(leader, vmId, 'source')
    await answerOfLiving(leader, host, () => agents.abandonDeparture(host, { ...head, isAloneHere }))
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
  await untilTakenBack(tools, { vmId, signal })
  const { spec, migration } = leader.index.state().vms.get(vmId) ?? {}
  if (spec === undefined || migration === undefined) return
  const source = hostName(leader, migration.sourceHostId)
  const end = isDeadOn(leader, vmId, 'source') ? `${source} is dead: it is brought back` : `it stays on ${source}`
  const why = leader.index.state().tasks.get(taskId)?.error?.message
  const message = why === undefined ? end : `${end}: ${why}`
  await close(leader, vmId, { kind: 'vm.migration-undone', subject: spec.name, message, vmId }, migration.epoch)
}

/**
 * The store may have gone back to before the owner changed. Then the copies are its disks, and what lies at the source may be gone: its
 * destination is asked before anything there is ended.
 */
async function hasRunThere({ leader, agents, table }: MoveTools, { vmId, signal }: MoveOf): Promise<boolean> {
  for (;;) {
    const vm = leader.index.state().vms.get(vmId)
    const { migration } = vm ?? {}
    if (migration?.phase !== 'moving' || migration.disks.length === 0) return false
    if (isDeadOn(leader, vmId, 'destination')) return false
    if (hostHasReported({ leader, table }, migration.destinationHostId)) {
      const report = table.report(migration.destinationHostId, vmId)
      if (report?.epoch === migration.epoch) return report.isArriving !== true
      const hasClaimed = await hasClaimedThere({ leader, agents }, vmId, migration)
      if (hasClaimed !== 'unknown') return hasClaimed
    }
    await leader.clock.sleep(askAgainMs, signal)
    signal.throwIfAborted()
  }
}

/** It has died there since: what is left of it is the claim beside its disks, which is written before it may write there. */
async function hasClaimedThere(
  { leader, agents }: Pick<MoveTools, 'leader' | 'agents'>,
  vmId: VmId,
  { destinationHostId, epoch }: VmMigration,
): Promise<boolean | 'unknown'> {
  const host = leader.index.state().hosts.get(destinationHostId)
  if (host === undefined) return false
  try {
    const { claims } = await answerOfLiving(leader, host.spec, () => agents.localClaims(host.spec))
    return claims.some((claim) => claim.vmId === vmId && claim.epoch >= epoch)
  } catch (error) {
    return isUnreachable(error) ? 'unknown' : false
  }
}

/** Any other answer of its agent means that there is nothing there to be continued: that is the ordinary loops' business. */
function isGone(error: unknown): boolean {
  return error instanceof DialtoneError && !isUnreachable(error)
}

export function isUnreachable(error: unknown): boolean {
  return error instanceof DialtoneError && passing.includes(error.code)
}

const unseen = { resumedAtMs: null, answeredAtMs: null, isWhole: false } as const

/** Lets it run at its destination, or finds out that this is in vain. */
export async function completeMove(tools: MoveTools, { vmId, signal }: MoveOf): Promise<ArrivalEnd> {
  const { leader, agents } = tools
  let failures = 0
  for (;;) {
    signal.throwIfAborted()
    const state = leader.index.state()
    const migration = state.vms.get(vmId)?.migration
    if (migration === undefined) return { ...unseen, isWhole: true, lost: null }
    const name = hostName(leader, migration.destinationHostId)
    if (isDeadOn(leader, vmId, 'destination')) return { ...unseen, lost: `${name} died` }
    try {
      const { host, head } = headFor(leader, vmId, 'destination')
      return await answerOfLiving(leader, host, () => agents.completeArrival(host, head))
    } catch (error) {
      leader.logger.warn('migration.not-completed', { vmId, error })
      const isOtherSession = state.hosts.get(migration.destinationHostId)?.status.session !== migration.session
      if (isOtherSession && isGone(error))
        return { ...unseen, lost: `the agent of ${name} was restarted before it ran there` }
      if (!isUnreachable(error)) failures += 1
      if (failures >= completionsTried) {
        // What came can't be let run: it ends, and the machine is brought back like any other that died there.
        await untilLetGo(tools, { vmId, side: 'destination', signal })
        return { ...unseen, lost: error instanceof Error ? error.message : String(error) }
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
  const account = accountOf(journal, {
    from: hostName(leader, migration.sourceHostId),
    to: hostName(leader, migration.destinationHostId),
  })
  await close(leader, vmId, {
    kind: account.isWhole ? 'vm.migrated' : 'vm.migration-lost-memory',
    subject: spec.name,
    message: account.summary,
    vmId,
    hostId: migration.destinationHostId,
    ...(user === null ? {} : { user }),
    detail: account.figures,
  })
  return { summary: account.summary }
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

/** The source's last word may still be that it was handed over. */
async function untilTakenBack({ leader, table }: MoveTools, { vmId, signal }: MoveOf): Promise<void> {
  const givesUpAtMs = leader.clock.bootTimeMs() + reportedWithinMs
  while (leader.clock.bootTimeMs() < givesUpAtMs) {
    const migration = leader.index.state().vms.get(vmId)?.migration
    if (migration === undefined || table.report(migration.sourceHostId, vmId)?.isHandedOver !== true) return
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
        await answerOfLiving(leader, host, () => agents.releaseMachine(host, { vmId, authority, upToEpoch: epoch }))
        return
      }
    } catch (error) {
      leader.logger.warn('migration.not-let-go', { vmId, side, error })
    }
    await leader.clock.sleep(askAgainMs, signal)
  }
}

export function isDeadOn(leader: Leader, vmId: VmId, side: Side['side']): boolean {
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
