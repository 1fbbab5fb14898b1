/** What is checked of docs/model: that the protocol holds, that it isn't vacuous, and that each broken variant of it is rejected. */

export type ModelCheck = {
  readonly model: 'fencing' | 'migration'
  /** What is defined for the preprocessor, besides the model's own spans. */
  readonly defines: readonly string[]
  /** `holds`: in every state. `is-reached`: the protocol gets there at all. `is-broken`: an assertion fails, as it must. */
  readonly expected: 'holds' | 'is-reached' | 'is-broken'
  readonly says: string
}

const fencing = { model: 'fencing', defines: ['EPOCHS=3'] } as const
const migration = { model: 'migration', defines: [] } as const

type Base = typeof fencing | typeof migration

export const modelChecks: readonly ModelCheck[] = [
  holds(fencing, 'at most one host writes, and epochs only grow'),
  isReached(fencing, 'REACHES=released', 'it starts elsewhere because its host let go'),
  isReached(fencing, 'REACHES=rebooted', 'it starts elsewhere because its host has booted anew'),
  isReached(fencing, 'REACHES=power', 'it starts elsewhere because its host was switched off'),
  isReached(fencing, 'REACHES=lease', 'it starts elsewhere because lease and pill have run out'),
  isBroken(fencing, 'LEASE_FROM_RECEIPT', 'the lease is counted from the receipt of an acknowledgement'),
  isBroken(fencing, 'READ_COUNTED_FROM_ITS_END', 'a read of the slot is counted from its end'),
  isBroken(fencing, 'PILL_FROM_CACHE', 'the slot is read from a cache'),
  isBroken(fencing, 'LACKS=W', 'the time of the watchdog is left out of the waits'),
  isBroken(fencing, 'LACKS=K', 'the time of the kill is left out of the waits'),
  isBroken(fencing, 'LACKS=D', 'the drain of writes in flight is left out of the waits'),
  isBroken(fencing, 'NO_PILL_WAIT', 'nobody waits after the pill was written'),
  isBroken(fencing, 'NEW_LEADER_DOES_NOT_WAIT', 'a new leader counts silence from before its own beginning'),
  isBroken(fencing, 'DEPOSED_LEADER_ACKNOWLEDGES', 'a leader that is none any more acknowledges'),
  isBroken(fencing, 'EPOCH_NOT_COMPARED', 'a start is confirmed without comparing its epoch'),
  isBroken(fencing, 'UNCONFIRMED_START', 'an ordered start is not confirmed after its claim'),
  isBroken(fencing, 'STALE_REPORT', 'a heartbeat that was overtaken is a proof'),
  isBroken(fencing, 'RELEASED_BEFORE_DRAINED', 'a host has let go before its last writes have landed'),
  isBroken(fencing, 'POWER_BEFORE_DRAINED', 'power off is a proof before the last writes have landed'),
  isBroken(fencing, 'THAW_UNTOLD', 'a machine goes on while the watchdog process believes that it is frozen'),
  isBroken(fencing, 'FIRST_WORD_TOO_EARLY', 'a new agent speaks to the watchdog before it knows its machines'),
  isBroken(fencing, 'CLEARED_SLOT_FORGOTTEN', 'a new agent forgets that its slot was cleared by its own host'),
  isBroken(fencing, 'FENCE_DEVICE_LIES', 'assumed: a fence device tells the truth'),
  isBroken(fencing, 'CLOCK_DRIFTS', 'assumed: clocks differ by less than what K and D have to spare'),
  holds(migration, 'at most one host runs it, and only the owner does'),
  isReached(migration, 'REACHES=srcProven', 'it starts elsewhere after its source has died'),
  isReached(migration, 'REACHES=itWasSwitched', 'it starts elsewhere after its destination has died'),
  isBroken(migration, 'DESTINATION_FORGOTTEN', 'the destination is no owner'),
  isBroken(migration, 'RESUMED_WITHOUT_PROOF', 'the source goes on without proof that the destination is dead'),
  isBroken(migration, 'HAND_OVER_NOT_WRITTEN', 'the source does not write down that it has handed over'),
  isBroken(migration, 'SWITCHED_BEFORE_SENT', 'the owner changes before the source has said that all is sent'),
  isBroken(migration, 'COMPLETED_BEFORE_SWITCHED', 'the destination runs before it is the owner'),
  isBroken(migration, 'SWITCH_OUTLIVES_ITS_LEADER', 'the owner changes while the move is being undone'),
]

function holds(base: Base, says: string): ModelCheck {
  return { ...base, expected: 'holds', says }
}

function isReached(base: Base, where: string, says: string): ModelCheck {
  return { ...base, defines: [...base.defines, where], expected: 'is-reached', says }
}

function isBroken(base: Base, how: string, says: string): ModelCheck {
  return { ...base, defines: [...base.defines, how], expected: 'is-broken', says }
}
