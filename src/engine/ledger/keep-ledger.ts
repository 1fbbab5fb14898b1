/**
 * Keeps the ledger's raw material: what agents saw of failures and recoveries, and what this controller decided. Every entry has a key of
 * its own, so that one which is told twice is stored once. Nothing here judges: outages are computed from the entries.
 */
import type { Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import type { HostId, SessionId, TaskId, VmId } from '../../model/ids.ts'
import type { ControllerFact, LedgerEntry } from '../../model/ledger/ledger-entry.ts'
import { ledgerEntrySchema } from '../../model/ledger/ledger-entry.ts'
import type { RecoveryRecord } from '../../model/recovery/recovery-record.ts'
import type { Write } from '../../store/store.ts'
import { commitAndSee, type Leader, put } from '../leader.ts'
import { keys } from '../state/keys.ts'

export type LedgerKeeper = {
  /**
   * Begins to store the records of a heartbeat; answers up to which of this session all are stored by now. Nobody waits for it: a lease
   * that is renewed late because a disk is slow would be worse than a record that is told twice.
   */
  storeRecords(hostId: HostId, heartbeat: Heartbeat): number
  /** Stores a fact of the controller's own. */
  note(vmId: VmId, fact: ControllerFact): Promise<void>
  /** The write for it, to go into the transaction of what happened. */
  write(vmId: VmId, fact: ControllerFact): Write
  /** All entries of a machine, oldest first. */
  entries(vmId: VmId): Promise<readonly LedgerEntry[]>
  /** Resolves when its service was seen to fail and then to answer since then, or to have been cured without a missed answer. */
  untilServing(vmId: VmId, options: Since): Promise<void>
  /** True when it was seen to fail since then. Of a time before this term agents have to tell first: for that it waits. */
  hasFailed(vmId: VmId, options: Since): Promise<boolean>
}

/** Since this task was begun, in the order in which the store was told: the clock on a host's wall may show any time. */
export type Since = { readonly since: TaskId; readonly signal: AbortSignal }

/** Agents tell a new leader what they have not got rid of within a few heartbeats. */
const toldWithinMs = 2_000

export function createLedgerKeeper(leader: Leader): LedgerKeeper {
  const storedUpTo = new Map<SessionId, number>()
  const storing = new Set<SessionId>()
  let counter = 0
  const write = (vmId: VmId, record: ControllerFact): Write => {
    counter += 1
    const entry: LedgerEntry = { at: record.at, service: vmId, hostId: null, session: null, sequence: null, record }
    return put(
      keys.ledgerEntry(vmId, record.at, `controller-${leader.term}-${String(counter).padStart(8, '0')}`),
      entry,
    )
  }
  const termBeganAt = leader.index.revision()
  const entries = async (vmId: VmId, after = 0) => {
    const stored = await leader.store.range(`ledger/${vmId}/`)
    const fresh = stored.entries.filter(({ createRevision }) => createRevision > after)
    return fresh.map(({ value }) => ledgerEntrySchema.parse(JSON.parse(value)))
  }
  const beginningOf = async (taskId: TaskId) => (await leader.store.get(keys.task(taskId)))?.createRevision ?? 0
  return {
    write,
    entries: (vmId) => entries(vmId),
    storeRecords(hostId, { session, records }) {
      const before = storedUpTo.get(session) ?? 0
      const fresh = records.filter(({ sequence }) => sequence > before)
      if (fresh.length > 0 && !storing.has(session)) {
        storing.add(session)
        storeFresh(leader, { hostId, session, fresh })
          .then(() => storedUpTo.set(session, fresh.at(-1)?.sequence ?? before))
          .catch((error: unknown) => leader.logger.warn('ledger.records-not-stored', { hostId, error }))
          .finally(() => storing.delete(session))
      }
      return before
    },
    async note(vmId, fact) {
      await commitAndSee(leader, { conditions: [], writes: [write(vmId, fact)] })
    },
    async untilServing(vmId, { since, signal }) {
      const beganAt = await beginningOf(since)
      let isNew = true
      const stop = leader.index.onChange((touched) => {
        isNew ||= touched.some(({ noun, id }) => noun === 'ledger' && id === vmId)
      })
      try {
        for (;;) {
          signal.throwIfAborted()
          if (isNew) {
            isNew = false
            if (isServingAgain(await entries(vmId, beganAt))) return
          }
          await leader.clock.sleep(50, signal)
        }
      } finally {
        stop()
      }
    },
    async hasFailed(vmId, { since, signal }) {
      const termAgeMs = leader.clock.bootTimeMs() - leader.startedAtMs
      const beganAt = await beginningOf(since)
      const isOfThisTerm = beganAt > termBeganAt
      if (!isOfThisTerm && termAgeMs < toldWithinMs) await leader.clock.sleep(toldWithinMs - termAgeMs, signal)
      return (await entries(vmId, beganAt)).some(({ record }) => signsOfFailure.includes(record.kind))
    },
  }
}

/** In one transaction with what people read of it. */
async function storeFresh(
  leader: Leader,
  {
    hostId,
    session,
    fresh,
  }: { readonly hostId: HostId; readonly session: SessionId; readonly fresh: Heartbeat['records'] },
): Promise<void> {
  const { vms } = leader.index.state()
  const known = fresh.filter(({ record }) => vms.has(record.vmId))
  const writes = known.flatMap(({ sequence, record }) => [
    put(keys.ledgerEntry(record.vmId, record.at, `${session}-${String(sequence).padStart(8, '0')}`), {
      at: record.at,
      service: record.vmId,
      hostId,
      session,
      sequence,
      record,
    } satisfies LedgerEntry),
    ...eventsOf(leader, hostId, record),
  ])
  if (writes.length > 0) await commitAndSee(leader, { conditions: [], writes })
}

const signsOfFailure: readonly LedgerEntry['record']['kind'][] = [
  'failure-detected',
  'answer-lost',
  'host-suspect',
  'host-proven-dead',
]

/**
 * A failure was detected and its rung cured it; or, on another host, it was started and answered there; or the agent that detected it ended
 * over its cure, and the next one found it answering.
 */
function isServingAgain(entries: readonly LedgerEntry[]): boolean {
  const startedAt = entries.findLast(({ record }) => record.kind === 'machine-started')?.at
  const isCured = entries.some(({ record }) => record.kind === 'rung-ended' && record.isCured)
  const answers = entries.filter(
    ({ record }) =>
      (record.kind === 'answer-back' || (record.kind === 'probing-began' && record.isCorrect)) &&
      record.prober === 'own',
  )
  const answersThere = startedAt !== undefined && answers.some(({ at }) => at >= startedAt)
  // The agent may have told of the missed answer only.
  const failed = entries.findLast(({ record: { kind } }) => kind === 'failure-detected' || kind === 'answer-lost')
  const answersToTheNext =
    failed !== undefined && answers.some(({ at, session }) => at >= failed.at && session !== failed.session)
  return isCured || answersThere || answersToTheNext
}

/** What people want to read of it in the list of events. */
function eventsOf(leader: Leader, hostId: HostId, record: RecoveryRecord): readonly Write[] {
  const { vmId } = record
  const { vms, hosts } = leader.index.state()
  const subject = vms.get(vmId)?.spec.name ?? vmId
  const where = hosts.get(hostId)?.spec.name ?? hostId
  const event = (kind: string, message: string) => [leader.events.write({ kind, subject, message, vmId, hostId })]
  switch (record.kind) {
    case 'failure-detected':
      return event('vm.failed-on', `${where}: ${record.cause}: ${record.detail}`)
    case 'machine-started':
      return record.rung === null
        ? []
        : event(
            'vm.recovering',
            `${where}: ${record.rung} began ${record.imageId === null ? 'a boot' : `from image ${record.imageId}`} after ${Math.round(record.tookMs)} ms`,
          )
    case 'rung-ended':
      return event(
        record.isCured ? 'vm.cured' : 'vm.rung-failed',
        `${where}: ${record.rung} ${record.isCured ? 'cured it' : `did not cure it: ${record.detail}`}, ${Math.round(record.tookMs)} ms`,
      )
    case 'answer-lost':
      return record.prober === 'own' ? event('service.lost', `${where}: ${record.detail}`) : []
    case 'answer-back':
      return record.prober === 'own' ? event('service.back', `${where}: answers correctly again`) : []
    case 'probing-began':
    case 'probing-ended':
    case 'rung-begun':
    case 'planned':
      return []
  }
}
