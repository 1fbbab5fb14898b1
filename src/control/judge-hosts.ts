/** Which hosts are silent, and whether that says something about them or rather about the leader. Pure. */
import type { ClusterState, HostObservation, HostRecord } from '../model/cluster-state.ts'
import type { HostId } from '../model/ids.ts'
import { leaseProofAfterMs } from '../model/protection/bounds.ts'
import type { Timings } from '../model/timings.ts'

export type Observations = ReadonlyMap<HostId, HostObservation>

export type HostJudgement =
  | { readonly kind: 'as-it-is' }
  | { readonly kind: 'becomes-suspect'; readonly reason: string }
  /** Silent for so long, with nothing at stake on it, that people should read `offline`. It proves nothing. */
  | { readonly kind: 'becomes-offline'; readonly reason: string }

/**
 * Judges one host's silence. Transitions back to `online` are made by its heartbeats, not here. A host with machines at stake stays
 * suspect until it is fenced; so does every host while all are silent together, or they would no longer be counted as such.
 */
export function judgeSilence(
  cluster: ClusterState,
  hostId: HostId,
  { observation, mayGoOffline }: { readonly observation: HostObservation; mayGoOffline(): boolean },
): HostJudgement {
  const host = cluster.hosts.get(hostId)
  const { timings } = cluster.cluster
  if (host === undefined) return { kind: 'as-it-is' }
  const { state } = host.status
  const silence = `silent for ${Math.round(observation.attentiveSilentMs)} ms`
  if (
    (state === 'online' || state === 'deaf' || state === 'maintenance') &&
    observation.attentiveSilentMs >= timings.suspectAfterMs
  ) {
    return { kind: 'becomes-suspect', reason: silence }
  }
  if (
    state === 'suspect' &&
    host.status.fencing === null &&
    observation.attentiveSilentMs >= 2 * leaseProofAfterMs(timings) &&
    mayGoOffline()
  ) {
    return { kind: 'becomes-offline', reason: `${silence}; no machine with HA is on it, so nobody fences it` }
  }
  return { kind: 'as-it-is' }
}

/**
 * True when no answer has reached a host for as long as a lease lasts, while its heartbeats arrived: by its own count its lease has run out,
 * though it is acknowledged. A heartbeat without an answer lasts half a second or two beats.
 */
export function hearsNothing({ cluster }: ClusterState, { unheardAnswers }: HostObservation): boolean {
  return unheardAnswers * Math.max(500, 2 * cluster.timings.heartbeatMs) >= cluster.timings.leaseMs
}

export type MassSilence = { readonly isMass: boolean; readonly silent: number; readonly total: number }

/**
 * True when more hosts than the set share fell silent together: then it is rather the leader, or the whole network, that is cut off.
 * A host counts as silent as soon as it missed a beat, so that those whose beats merely differ in phase are seen together.
 */
export function judgeMassSilence(cluster: ClusterState, observations: Observations): MassSilence {
  const { maximumSilentShare } = cluster.cluster.timings
  const known = [...cluster.hosts.values()].filter(
    ({ status }) => status.state !== 'fenced' && status.state !== 'offline',
  )
  const silent = known.filter(({ spec }) => missesBeats(cluster, observations.get(spec.id)))
  return { isMass: silent.length > known.length * maximumSilentShare, silent: silent.length, total: known.length }
}

/** True from the first beat on that did not come, long before suspicion. */
export function missesBeats(cluster: ClusterState, observation: HostObservation | undefined): boolean {
  return (observation?.attentiveSilentMs ?? Infinity) > toleratedSilenceMs(cluster.cluster.timings)
}

/** Between two beats that come as they should. */
function toleratedSilenceMs({ heartbeatMs }: Timings): number {
  return 1.6 * heartbeatMs
}

/**
 * Its beats come and nobody has doubted it: there is nothing to decide about it, and it makes no silence a common one. That is nearly every
 * host at nearly every look, so this costs next to nothing.
 */
export function isAtWork(
  { status }: HostRecord,
  { silentMs, timings }: { readonly silentMs: number; readonly timings: Timings },
): boolean {
  if (status.state !== 'online' && status.state !== 'maintenance') return false
  return silentMs <= toleratedSilenceMs(timings) && silentMs < timings.suspectAfterMs
}
