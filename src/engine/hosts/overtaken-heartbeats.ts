/** Heartbeats that were overtaken prove nothing: what they tell may have changed since. They are refused, however late they arrive. */
import type { Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import type { HostRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, SessionId } from '../../model/ids.ts'

/** How many replaced sessions of a host are remembered. */
const rememberedSessions = 100

export type HeartbeatOrder = {
  /** Throws `session-void` for a heartbeat that isn't newer than the newest, or of a session that was replaced. */
  check(host: HostRecord, heartbeat: Heartbeat, newest: Heartbeat | undefined): void
}

export function createHeartbeatOrder(): HeartbeatOrder {
  const replaced = new Map<HostId, readonly SessionId[]>()
  return {
    check({ spec, status }, heartbeat, newest) {
      const gone = replaced.get(spec.id) ?? []
      if (gone.includes(heartbeat.session))
        throw new DialtoneError('session-void', `a newer session of ${spec.name} has been heard of`)
      // A new leader has heard nobody yet, but the store says who spoke to its predecessor: a last word of that one may still be on its way.
      const before = newest?.session ?? status.session
      if (before !== null && before !== heartbeat.session)
        replaced.set(spec.id, [...gone, before].slice(-rememberedSessions))
      else if (newest !== undefined && heartbeat.sequence <= newest.sequence) {
        throw new DialtoneError(
          'session-void',
          `heartbeat ${heartbeat.sequence} of ${spec.name} was overtaken by ${newest.sequence}`,
        )
      }
    },
  }
}
