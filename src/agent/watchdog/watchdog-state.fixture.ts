/** One leased machine on the shared storage, as an agent tells of it; a test names only what it is about. */
import { sharedId, vmIdOf } from '../../model/cluster-state.fixture.ts'
import { defaultTimings } from '../../model/timings.ts'
import type { WatchdogState } from './watchdog-message.ts'

export function makeState(changes: Partial<WatchdogState> = {}): WatchdogState {
  return {
    sequence: 1,
    timings: defaultTimings,
    acknowledgedHeartbeatSentAtMs: null,
    pillFreeReads: [],
    pills: [],
    machines: [{ vmId: vmIdOf('web'), storageIds: [sharedId], isFrozen: false, cgroupDirectory: '/nowhere' }],
    // Above the highest that Linux gives: a test that kills it by mistake kills nobody.
    agentPid: 2 ** 22 + 1,
    ...changes,
  }
}
