/** What this agent has seen of failures and recoveries and the leader has not stored yet. Told in every heartbeat until it has. */
import type { NumberedRecord, RecoveryRecord } from '../../model/recovery/recovery-record.ts'

export type RecoveryJournal = {
  note(record: RecoveryRecord): void
  /** The oldest that are not stored. */
  pending(): readonly NumberedRecord[]
  /** The leader has stored all up to this number. */
  stored(upTo: number): void
}

/** What one heartbeat carries at the most. */
const toldAtOnce = 100
/** While no leader listens, only the newest are remembered: a machine that fails for days must not fill the memory. */
const remembered = 5_000

/** `tellSoon`: something is to be told. */
export function createRecoveryJournal(tellSoon: () => void): RecoveryJournal {
  let records: NumberedRecord[] = []
  let sequence = 0
  return {
    note(record) {
      sequence += 1
      records.push({ sequence, record })
      if (records.length > remembered) records = records.slice(-remembered)
      tellSoon()
    },
    pending: () => records.slice(0, toldAtOnce),
    stored(upTo) {
      if (records.length === 0 || (records[0]?.sequence ?? 0) > upTo) return
      records = records.filter((record) => record.sequence > upTo)
      if (records.length > 0) tellSoon()
    },
  }
}
