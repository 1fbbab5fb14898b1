/**
 * Notices a store that went back in time (docs/architecture.md, 4.8): a host that knows a higher revision, or another history, than this
 * controller has. Then nothing is started until every host has reported, and has told what it has of machines, or is fenced; and epochs go
 * on above all that were ever seen.
 */
import type { ClaimedDisks } from '../../control/vm-decision.ts'
import type { Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import type { HostTable } from '../hosts/host-table.ts'
import type { Leader } from '../leader.ts'
import type { ForgottenClaims } from './forgotten-claims.ts'

export type StoreCheck = {
  note(hostId: HostId, heartbeat: Heartbeat): void
  /** Why nothing may be started; undefined when all is well. */
  startsOnHold(): string | undefined
  /** No new epoch may be below this. */
  epochFloor(): number
  /** Where hosts say that this machine had its own disks. */
  claims(vmId: VmId): readonly ClaimedDisks[]
}

export function createStoreCheck(leader: Leader, table: HostTable, claims: ForgottenClaims): StoreCheck {
  let highestEpochOutside = 0
  let wentBack: string | undefined

  return {
    note(hostId, heartbeat) {
      if (heartbeat.highestKnownTerm > leader.term)
        leader
          .riseAbove(heartbeat.highestKnownTerm)
          .catch((error: unknown) => leader.logger.error('leader.did-not-rise', { error }))
      const isOtherHistory =
        heartbeat.storeIncarnation !== null && heartbeat.storeIncarnation !== leader.store.incarnation
      const isAhead = heartbeat.highestKnownRevision > leader.index.revision()
      if (wentBack === undefined && !isOtherHistory && !isAhead) return
      highestEpochOutside = Math.max(highestEpochOutside, heartbeat.highestKnownEpoch)
      if (wentBack === undefined)
        leader.logger.error('store.went-back', {
          hostId,
          known: heartbeat.highestKnownRevision,
          here: leader.index.revision(),
        })
      wentBack ??= `the store went back in time (a host knows revision ${heartbeat.highestKnownRevision}, here is ${leader.index.revision()})`
      claims.ask(hostId)
    },
    startsOnHold() {
      if (wentBack === undefined) return undefined
      const missing = [...leader.index.state().hosts.values()].filter(
        ({ spec: { id }, status }) => !(table.hasReported(id) && claims.hasTold(id)) && status.proof === null,
      )
      if (missing.length === 0) return undefined
      return `${wentBack}: nothing is started until these hosts have reported or are fenced: ${missing.map(({ spec }) => spec.name).join(', ')}`
    },
    epochFloor: () => Math.max(highestEpochOutside, claims.highestEpoch()) + 1,
    claims: claims.of,
  }
}
