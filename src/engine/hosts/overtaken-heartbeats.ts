/** Heartbeats that were overtaken prove nothing: what they tell may have changed since. They are refused, however late they arrive. */
import type { Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import type { HostRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, SessionId } from '../../model/ids.ts'

/** How many replaced sessions of a host are remembered. */
const rememberedSessions = 100

export type HeartbeatOrder = {
  /**
   * Throws `session-replaced` for a heartbeat of an agent that was replaced, whether or not it was ever heard, and `session-void` for one that
   * isn't newer than the newest of its session.
   */
  check(host: HostRecord, heartbeat: Heartbeat, newest: Heartbeat | undefined): void
}

export function createHeartbeatOrder(): HeartbeatOrder {
  const replaced = new Map<HostId, readonly SessionId[]>()
  return {
    check({ spec, status }, heartbeat, newest) {
      const gone = replaced.get(spec.id) ?? []
      const agentLife = Math.max(status.agentLife, newest?.agentLife ?? 0)
      if (heartbeat.agentLife < agentLife || gone.includes(heartbeat.session)) {
        const message = `a newer agent of ${spec.name} has been heard of`
        throw new DialtoneError('session-replaced', message, { detail: { agentLife } })
      }
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
