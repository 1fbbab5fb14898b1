/** The effects of fencing: the power fence, the pill, the stored proof. */
import type { FencingDecision } from '../../control/decide-fencing.ts'
import type { HostRecord } from '../../model/cluster-state.ts'
import type { HostStatus } from '../../model/host.ts'
import type { HostId } from '../../model/ids.ts'
import { describeProof, type Proof } from '../../model/proof.ts'
import { countedTimings } from '../../model/protection/counted-timings.ts'
import type { AgentPort, FencePort } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import { orderTarget } from '../order-target.ts'
import type { FencingMemory } from './fencing-memory.ts'
import { writeHostStatus } from './write-host-status.ts'

export type FencingTools = {
  readonly leader: Leader
  readonly agents: AgentPort
  readonly fences: FencePort
  readonly memory: FencingMemory
  wake(hostId: HostId): void
}

/** Begins it: first in memory, so that no acknowledgement leaves any more, then in the store. */
export async function beginFencing({ leader, memory }: FencingTools, hostId: HostId, reason: string): Promise<void> {
  const generation = leader.index.revision()
  memory.begin(hostId, generation)
  const startedAt = leader.clock.wallTime().toISOString()
  await writeHostStatus(leader, hostId, (status) => ({
    status: { ...status, fencing: { generation, term: leader.term, startedAt, reason }, detail: reason },
    event: { kind: 'host.fencing', subject: nameOf(leader, hostId), message: reason },
  }))
}

/** Switches the host off; true when it is known to be off, and what it was writing has landed. A failure is remembered, told, and tried again later. */
export async function usePowerFence({ leader, fences, memory }: FencingTools, hostId: HostId): Promise<boolean> {
  const fencing = memory.ongoing(hostId)
  const host = leader.index.state().hosts.get(hostId)
  if (fencing === undefined || host === undefined) return false
  fencing.power = { kind: 'running' }
  const startedAtMs = leader.clock.bootTimeMs()
  try {
    await fences.switchOff(host.spec)
    // What it had sent to a storage may still be on its way there.
    await leader.clock.sleep(countedTimings(leader.index.state().cluster).drainMs, leader.signal)
    fencing.power = { kind: 'off', tookMs: leader.clock.bootTimeMs() - startedAtMs }
    return !leader.signal.aborted
  } catch (error) {
    fencing.power = { kind: 'failed', atMs: leader.clock.bootTimeMs() }
    const failure = error instanceof Error ? error.message : String(error)
    // It is tried every few seconds: only what is new is news.
    const isNews = failure !== fencing.toldFailure
    fencing.toldFailure = failure
    const message = `${failure}; it is tried again until the host is proven dead or answers`
    if (isNews && !leader.signal.aborted)
      await leader.events.record({ kind: 'host.power-fence-failed', subject: host.spec.name, hostId, message })
    return false
  }
}

/** Has a pill written by a host that reads the storage. It counts from the answer: it stood there, read back, before that. */
export async function writePill(
  { leader, agents, memory }: FencingTools,
  hostId: HostId,
  decision: Extract<FencingDecision, { kind: 'write-pill' }>,
): Promise<void> {
  const fencing = memory.ongoing(hostId)
  const target = leader.index.state().hosts.get(hostId)
  const writer = orderTarget(leader, decision.viaHostId)
  if (fencing === undefined || target === undefined || writer === undefined) return
  const { host, authority } = writer
  const { storageId } = decision
  const about = { hostId, storageId, via: host.name, generation: fencing.generation }
  fencing.pills.set(storageId, 'writing')
  try {
    const pill = { kind: 'pill', hostId, term: leader.term, generation: fencing.generation } as const
    await agents.writePill(host, { authority, storageId, slot: target.spec.number, pill })
    fencing.pills.set(storageId, leader.clock.bootTimeMs())
    leader.logger.info('pill.written', about)
  } catch (error) {
    fencing.pills.delete(storageId)
    leader.logger.warn('pill.not-written', { ...about, error })
  }
}

/** False when the host speaks, or was proven dead already: what speaks is not dead. */
export async function storeProof(
  { leader, memory, wake }: FencingTools,
  hostId: HostId,
  proof: Proof,
): Promise<boolean> {
  const sentence = describeProof(proof)
  const at = leader.clock.wallTime().toISOString()
  const isWritten = await writeHostStatus(leader, hostId, (status) => {
    if (status.state !== 'suspect' && status.state !== 'offline') return undefined
    const fencing = status.fencing ?? {
      generation: leader.index.revision(),
      term: leader.term,
      startedAt: at,
      reason: sentence,
    }
    const next: HostStatus = { ...status, state: 'fenced', since: at, proof, fencing, detail: sentence }
    return { status: next, event: { kind: 'host.fenced', subject: nameOf(leader, hostId), message: sentence } }
  })
  memory.end(hostId)
  if (isWritten) wake(hostId)
  return isWritten
}

export async function changeState(
  { leader, wake }: FencingTools,
  host: HostRecord,
  change: { readonly to: 'suspect' | 'offline'; readonly reason: string },
): Promise<void> {
  const { to, reason } = change
  await writeHostStatus(leader, host.spec.id, (status) => {
    if (status.state === 'fenced' || status.state === to) return undefined
    const since = leader.clock.wallTime().toISOString()
    return {
      status: { ...status, state: to, since, detail: reason },
      event: { kind: `host.${to}`, subject: host.spec.name, message: reason },
    }
  })
  wake(host.spec.id)
}

export function nameOf(leader: Leader, hostId: HostId): string {
  return leader.index.state().hosts.get(hostId)?.spec.name ?? hostId
}
