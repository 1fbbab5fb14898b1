/**
 * After a machine runs at its destination: by post-copy the rest of its memory is waited for, and if that will never come, the destination
 * ends what runs there and recovers it: half a memory is none. Where a probe runs, its first answer there is waited for, too, a moment long:
 * that is what clients see of the move, and until then nothing else is done on either host that could wait.
 */
import { isAnswering } from '../../model/cluster-state.ts'
import type { VmId } from '../../model/ids.ts'
import { longestMoveMs } from '../../model/migration/migration-method.ts'
import { isDeadOn, isUnreachable, type MoveTools } from './end-migration.ts'
import { headFor, hostName } from './migration-facts.ts'
import type { MigrationJournal } from './migration-journal.ts'

const askAgainMs = 50
/** It answers within a tenth of that; one that does not is not waited for. */
const answersWithinMs = 1_000

/** Resolves when all of it is there, or is known to be lost. */
export async function followArrival(
  tools: MoveTools,
  { vmId, departure, lost }: MigrationJournal,
  signal: AbortSignal,
): Promise<Partial<MigrationJournal>> {
  const { leader, agents } = tools
  if (departure === undefined || typeof lost === 'string') return {}
  const memoryMiB = leader.index.state().vms.get(vmId)?.spec.memoryMiB ?? 0
  const beganAtMs = leader.clock.bootTimeMs()
  const hasLasted = (spanMs: number) => leader.clock.bootTimeMs() - beganAtMs >= spanMs
  for (;;) {
    signal.throwIfAborted()
    const migration = leader.index.state().vms.get(vmId)?.migration
    if (migration === undefined) return {}
    if (isDeadOn(leader, vmId, 'destination'))
      return { lost: `${hostName(leader, migration.destinationHostId)} died before all of its memory was there` }
    try {
      const { host, head } = headFor(leader, vmId, 'destination')
      const end = await agents.completeArrival(host, head)
      if (end.lost !== null) return { lost: end.lost }
      const { isWhole, answeredAtMs } = end
      const isAnswered = !departure.wasServing || answeredAtMs !== null || hasLasted(answersWithinMs)
      if (isWhole && isAnswered) return { answeredAtMs, departure: await lastReport(tools, vmId, departure) }
      const reason = hasLasted(longestMoveMs(memoryMiB)) ? 'it took too long' : whySourceIsGone(tools, vmId)
      if (reason !== undefined && !isWhole) await agents.abandonArrival(host, { ...head, reason })
    } catch (error) {
      leader.logger.warn('migration.not-followed', { vmId, error })
      if (!isUnreachable(error)) return { lost: error instanceof Error ? error.message : String(error) }
    }
    await leader.clock.sleep(askAgainMs, signal)
  }
}

function whySourceIsGone({ leader }: MoveTools, vmId: VmId): string | undefined {
  const state = leader.index.state()
  const hostId = state.vms.get(vmId)?.migration?.sourceHostId
  const source = hostId === undefined ? undefined : state.hosts.get(hostId)
  if (source !== undefined && isAnswering(source)) return undefined
  return `${source?.spec.name ?? hostId}, where the rest of its memory was, does not answer`
}

/** What was sent in the end: a figure that the move does not depend on. */
async function lastReport(
  { leader, agents }: MoveTools,
  vmId: VmId,
  departure: NonNullable<MigrationJournal['departure']>,
): Promise<MigrationJournal['departure']> {
  try {
    const { host, head } = headFor(leader, vmId, 'source')
    const { transferredBytes } = await agents.followDeparture(host, { ...head, waitMs: 0 })
    return { ...departure, transferredBytes: Math.max(transferredBytes, departure.transferredBytes) }
  } catch {
    return departure
  }
}
