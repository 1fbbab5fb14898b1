/** The watchdog's decision, pure: which machines have no licence any more, and whether the hardware may be petted. */
import type { LicenceFacts } from '../../model/protection/licence.ts'
import { mayStayAlive } from '../../model/protection/licence.ts'
import type { WatchdogState } from './watchdog-message.ts'

export type WatchdogVerdict = {
  /** To be killed now, through their cgroups. */
  readonly unlicensed: readonly WatchdogState['machines'][number][]
  /** The agent made no progress for longer than it may: its supervisor should start it anew. */
  readonly agentIsStalled: boolean
}

export function judgeMachines(
  state: WatchdogState,
  now: { readonly nowMs: number; readonly lastWordAtMs: number },
): WatchdogVerdict {
  const facts = factsOf(state)
  return {
    unlicensed: state.machines.filter(
      (machine) => !mayStayAlive(facts, { ...machine, nowMs: now.nowMs }, state.timings),
    ),
    agentIsStalled: now.nowMs - now.lastWordAtMs > state.timings.agentStallMs,
  }
}

function factsOf(state: WatchdogState): LicenceFacts {
  return {
    acknowledgedHeartbeatSentAtMs: state.acknowledgedHeartbeatSentAtMs,
    pillFreeReadStartedAtMs: new Map(state.pillFreeReads.map((read) => [read.storageId, read.startedAtMs])),
    pills: new Set(state.pills),
  }
}
