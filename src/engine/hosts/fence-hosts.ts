/** Carries out what is decided about silent hosts: suspicion, power fence, pills, proof. What it remembers dies with the term; a new leader begins anew. */
import {
  decideFencing,
  type FencingDecision,
  type FencingProgress,
  machinesAtStake,
} from '../../control/decide-fencing.ts'
import { judgeMassSilence, judgeSilence } from '../../control/judge-hosts.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostStatus } from '../../model/host.ts'
import type { HostId, StorageId } from '../../model/ids.ts'
import type { Proof } from '../../model/proof.ts'
import { describeProof } from '../../model/proof.ts'
import { newLeaderWaitsMs } from '../../model/protection/bounds.ts'
import type { AgentPort, FencePort } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import type { HostTable } from './host-table.ts'
import { writeHostStatus } from './write-host-status.ts'

export type HostFencer = {
  /** Looks at every host once. To be called every few dozen milliseconds. */
  look(): Promise<void>
  isBeingFenced(hostId: HostId): boolean
  /** The host came back and let go: its fencing is over. */
  fencingEnded(hostId: HostId): void
  /** An operator's word, as a proof. */
  acceptWord(hostId: HostId, user: string): Promise<Proof>
}

type Progress = {
  readonly generation: number
  power: { kind: 'unused' } | { kind: 'running' } | { kind: 'off'; tookMs: number } | { kind: 'failed'; atMs: number }
  readonly pills: Map<StorageId, 'writing' | number>
}

export type HostFencerOptions = {
  readonly leader: Leader
  readonly table: HostTable
  readonly agents: AgentPort
  readonly fences: FencePort
  wake(hostId: HostId): void
}

export function createHostFencer(options: HostFencerOptions): HostFencer {
  const { leader, table } = options
  const progresses = new Map<HostId, Progress>()
  const holds = new Map<HostId, string>()
  let lastMassAtMs = -Infinity

  return {
    isBeingFenced: (hostId) => progresses.has(hostId),
    fencingEnded: (hostId) => void progresses.delete(hostId),
    async look() {
      const nowMs = leader.clock.bootTimeMs()
      const state = leader.index.state()
      // Every host is counted from the first look on: one that this leader never hears is as silent as the others.
      for (const hostId of state.hosts.keys()) table.observation(hostId, nowMs)
      if (nowMs - leader.startedAtMs < newLeaderWaitsMs(state.cluster.timings)) return
      for (const hostId of state.hosts.keys()) await lookAt(hostId)
    },
    async acceptWord(hostId, user) {
      const host = leader.index.state().hosts.get(hostId)
      const proof: Proof = { kind: 'operator', hostId, hostName: host?.spec.name ?? hostId, provedAt: now(), user }
      if (!(await storeProof(hostId, proof))) {
        throw new DialtoneError('wrong-state', `${proof.hostName} reports, or is proven dead already`)
      }
      return proof
    },
  }

  async function lookAt(hostId: HostId): Promise<void> {
    const nowMs = leader.clock.bootTimeMs()
    const state = leader.index.state()
    const observations = table.observations(nowMs)
    const observation = observations.get(hostId)
    if (observation === undefined) return
    const mass = judgeMassSilence(state, observations)
    if (mass.isMass) lastMassAtMs = nowMs
    const mayGoOffline = !mass.isMass && machinesAtStake(state, hostId).length === 0
    const judgement = judgeSilence(state, hostId, { observation, mayGoOffline })
    if (judgement.kind === 'becomes-suspect') await change(hostId, 'suspect', judgement.reason)
    if (judgement.kind === 'becomes-offline') await change(hostId, 'offline', judgement.reason)
    const decisions = decideFencing(leader.index.state(), {
      hostId,
      observations,
      mass,
      massAgoMs: nowMs - lastMassAtMs,
      progress: progressOf(hostId, nowMs),
      wallTime: now(),
    })
    for (const decision of decisions) await carryOut(hostId, decision)
    if (!decisions.some((decision) => decision.kind === 'hold')) holds.delete(hostId)
  }

  function progressOf(hostId: HostId, nowMs: number): FencingProgress | undefined {
    const progress = progresses.get(hostId)
    if (progress === undefined) return undefined
    const { power } = progress
    return {
      generation: progress.generation,
      power: power.kind === 'failed' ? { kind: 'failed', agoMs: nowMs - power.atMs } : power,
      pills: new Map(
        [...progress.pills].map(([id, pill]) => [
          id,
          pill === 'writing' ? { kind: 'writing' } : { kind: 'standing', stoodMs: nowMs - pill },
        ]),
      ),
    }
  }

  async function carryOut(hostId: HostId, decision: FencingDecision): Promise<void> {
    switch (decision.kind) {
      case 'hold':
        return noteHold(hostId, decision.reason)
      case 'begin':
        return begin(hostId, decision.reason)
      case 'use-power-fence':
        return void usePowerFence(hostId)
      case 'write-pill':
        return void writePill(hostId, decision)
      case 'prove':
        return void (await storeProof(hostId, decision.proof))
    }
  }

  async function noteHold(hostId: HostId, reason: string): Promise<void> {
    const kind = reason.replaceAll(/\d+/g, '#')
    if (holds.get(hostId) === kind) return
    holds.set(hostId, kind)
    await writeHostStatus(leader, hostId, (status) => ({
      status: { ...status, detail: `not fenced: ${reason}` },
      event: { kind: 'host.not-fenced', subject: nameOf(hostId), message: reason },
    }))
  }

  async function begin(hostId: HostId, reason: string): Promise<void> {
    // First in memory: from this moment no acknowledgement leaves for the host.
    progresses.set(hostId, { generation: leader.index.revision(), power: { kind: 'unused' }, pills: new Map() })
    const generation = leader.index.revision()
    await writeHostStatus(leader, hostId, (status) => ({
      status: { ...status, fencing: { generation, term: leader.term, startedAt: now(), reason }, detail: reason },
      event: { kind: 'host.fencing', subject: nameOf(hostId), message: reason },
    }))
  }

  async function usePowerFence(hostId: HostId): Promise<void> {
    const progress = progresses.get(hostId)
    const host = leader.index.state().hosts.get(hostId)
    if (progress === undefined || host === undefined) return
    progress.power = { kind: 'running' }
    const startedAtMs = leader.clock.bootTimeMs()
    try {
      await options.fences.switchOff(host.spec)
      progress.power = { kind: 'off', tookMs: leader.clock.bootTimeMs() - startedAtMs }
      await lookAt(hostId)
    } catch (error) {
      progress.power = { kind: 'failed', atMs: leader.clock.bootTimeMs() }
      leader.logger.warn('fence.power-failed', { hostId, error })
      await leader.events.record({
        kind: 'host.power-fence-failed',
        subject: nameOf(hostId),
        hostId,
        message: error instanceof Error ? error.message : String(error),
      })
    }
  }

  async function writePill(hostId: HostId, decision: Extract<FencingDecision, { kind: 'write-pill' }>): Promise<void> {
    const progress = progresses.get(hostId)
    const { hosts } = leader.index.state()
    const target = hosts.get(hostId)
    const writer = hosts.get(decision.viaHostId)
    const session = writer?.status.session
    if (
      progress === undefined ||
      target === undefined ||
      writer === undefined ||
      session === null ||
      session === undefined
    )
      return
    progress.pills.set(decision.storageId, 'writing')
    try {
      const authority = { term: leader.term, session }
      const pill = { kind: 'pill', hostId, term: leader.term, generation: progress.generation } as const
      await options.agents.writePill(writer.spec, {
        authority,
        storageId: decision.storageId,
        slot: target.spec.number,
        pill,
      })
      // Counted from here: it stood on the storage, read back, before this moment.
      progress.pills.set(decision.storageId, leader.clock.bootTimeMs())
      leader.logger.info('pill.written', {
        hostId,
        storageId: decision.storageId,
        via: writer.spec.name,
        generation: progress.generation,
      })
    } catch (error) {
      progress.pills.delete(decision.storageId)
      leader.logger.warn('pill.not-written', { hostId, storageId: decision.storageId, via: writer.spec.name, error })
    }
  }

  async function storeProof(hostId: HostId, proof: Proof): Promise<boolean> {
    const isWritten = await writeHostStatus(leader, hostId, (status) => {
      // Only of a host that is silent: what speaks is not dead.
      if (status.state !== 'suspect' && status.state !== 'offline') return undefined
      const fencing = status.fencing ?? {
        generation: leader.index.revision(),
        term: leader.term,
        startedAt: now(),
        reason: describeProof(proof),
      }
      const next: HostStatus = {
        ...status,
        state: 'fenced',
        since: now(),
        proof,
        fencing,
        detail: describeProof(proof),
      }
      return { status: next, event: { kind: 'host.fenced', subject: nameOf(hostId), message: describeProof(proof) } }
    })
    progresses.delete(hostId)
    if (isWritten) options.wake(hostId)
    return isWritten
  }

  async function change(hostId: HostId, to: 'suspect' | 'offline', reason: string): Promise<void> {
    await writeHostStatus(leader, hostId, (status) =>
      status.state === 'fenced' || status.state === to
        ? undefined
        : {
            status: { ...status, state: to, since: now(), detail: reason },
            event: { kind: `host.${to}`, subject: nameOf(hostId), message: reason },
          },
    )
    options.wake(hostId)
  }

  function now(): string {
    return leader.clock.wallTime().toISOString()
  }

  function nameOf(hostId: HostId): string {
    return leader.index.state().hosts.get(hostId)?.spec.name ?? hostId
  }
}
