/** Looks at silent hosts and carries out what is decided about them: suspicion, power fence, pills, proof. */
import { decideFencing, type FencingDecision, machinesAtStake } from '../../control/decide-fencing.ts'
import { isAtWork, judgeMassSilence, judgeSilence, missesBeats } from '../../control/judge-hosts.ts'
import type { HostRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId } from '../../model/ids.ts'
import type { Proof } from '../../model/proof.ts'
import { newLeaderWaitsMs } from '../../model/protection/bounds.ts'
import { countedTimings } from '../../model/protection/counted-timings.ts'
import type { AgentPort, FencePort } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import {
  beginFencing,
  changeState,
  type FencingTools,
  nameOf,
  storeProof,
  usePowerFence,
  writePill,
} from './carry-out-fencing.ts'
import { createFencingMemory } from './fencing-memory.ts'
import type { HostTable } from './host-table.ts'
import { writeHostStatus } from './write-host-status.ts'

export type HostFencer = {
  /** Looks at every host once. To be called every few dozen milliseconds. */
  look(): Promise<void>
  isBeingFenced(hostId: HostId): boolean
  /** The host came back and let go: its fencing is over. */
  fencingEnded(hostId: HostId): void
  /** An operator's word, as a proof. Throws `wrong-state` for a host that reports, or is proven dead already. */
  acceptWord(hostId: HostId, user: string): Promise<Proof>
}

export type HostFencerOptions = {
  readonly leader: Leader
  readonly table: HostTable
  readonly agents: AgentPort
  readonly fences: FencePort
  wake(hostId: HostId): void
}

type Fencer = {
  readonly tools: FencingTools
  readonly table: HostTable
  /** When each host's kernel was last asked, in attentive time. */
  readonly knockedAtMs: Map<HostId, number>
  /** Why a host isn't fenced, as it was last told. */
  readonly holds: Map<HostId, string>
  lastMassAtMs: number
}

export function createHostFencer(options: HostFencerOptions): HostFencer {
  const { leader, table } = options
  const memory = createFencingMemory()
  const fencer: Fencer = {
    tools: { ...options, memory },
    table,
    knockedAtMs: new Map(),
    holds: new Map(),
    lastMassAtMs: -Infinity,
  }

  return {
    isBeingFenced: (hostId) => memory.ongoing(hostId) !== undefined,
    fencingEnded: (hostId) => memory.end(hostId),
    async look() {
      const nowMs = leader.clock.bootTimeMs()
      const state = leader.index.state()
      // Every host is counted from the first look on: one that this leader never hears is as silent as the others.
      for (const hostId of state.hosts.keys()) table.count(hostId)
      const { timings } = state.cluster
      const quiet: HostId[] = []
      for (const [hostId, host] of state.hosts) {
        if (isAtWork(host, { silentMs: table.attentiveSilentMs(hostId), timings })) fencer.holds.delete(hostId)
        else quiet.push(hostId)
      }
      if (quiet.length === 0) return
      // Also while a new leader judges nobody yet, so that its first judgement knows the answers.
      askSilentKernels(fencer)
      if (nowMs - leader.startedAtMs < newLeaderWaitsMs(countedTimings(state.cluster))) return
      for (const hostId of quiet) {
        // A host whose status can't be written at the moment doesn't keep the others from being looked at.
        await lookAt(fencer, hostId).catch((error: unknown) => {
          if (!leader.signal.aborted) leader.logger.error('fence.look-failed', { hostId, error })
        })
      }
    },
    async acceptWord(hostId, user) {
      const hostName = nameOf(leader, hostId)
      const proof: Proof = { kind: 'operator', hostId, hostName, provedAt: leader.clock.wallTime().toISOString(), user }
      if (await storeProof(fencer.tools, hostId, proof)) return proof
      throw new DialtoneError('wrong-state', `${hostName} reports, or is proven dead already`)
    },
  }
}

/** Often enough that a lost question or a slow answer among them says nothing. */
const knockEveryMs = 100
/** On the machines' own network an answer takes less than a millisecond; what takes longer than this comes too late to count. */
const knockTimeoutMs = 250

async function lookAt(fencer: Fencer, hostId: HostId): Promise<void> {
  const { leader, memory } = fencer.tools
  const nowMs = leader.clock.bootTimeMs()
  const state = leader.index.state()
  const observations = fencer.table.observations(nowMs)
  const observation = observations.get(hostId)
  const host = state.hosts.get(hostId)
  if (observation === undefined || host === undefined) return
  const mass = judgeMassSilence(state, observations)
  if (mass.isMass) fencer.lastMassAtMs = nowMs
  const mayGoOffline = () => !mass.isMass && machinesAtStake(state, hostId).length === 0
  const judgement = judgeSilence(state, hostId, { observation, mayGoOffline })
  if (judgement.kind === 'becomes-suspect')
    await changeState(fencer.tools, host, { to: 'suspect', reason: judgement.reason })
  if (judgement.kind === 'becomes-offline')
    await changeState(fencer.tools, host, { to: 'offline', reason: judgement.reason })
  const decisions = decideFencing(leader.index.state(), {
    hostId,
    observations,
    mass,
    massAgoMs: nowMs - fencer.lastMassAtMs,
    progress: memory.progress(hostId, nowMs),
    wallTime: leader.clock.wallTime().toISOString(),
  })
  for (const decision of decisions) await carryOut(fencer, hostId, decision)
  if (!decisions.some((decision) => decision.kind === 'hold')) fencer.holds.delete(hostId)
}

/**
 * From the first missing beat on, so that an answer is there when it counts, and for as long as one would change anything. While most are
 * silent nobody is fenced, and nobody is asked.
 */
function askSilentKernels(fencer: Fencer): void {
  const { leader } = fencer.tools
  const state = leader.index.state()
  const observations = fencer.table.observations(leader.clock.bootTimeMs())
  if (judgeMassSilence(state, observations).isMass) return
  const { leaseMs } = state.cluster.timings
  for (const host of state.hosts.values()) {
    const observation = observations.get(host.spec.id)
    if (missesBeats(state, observation) && (observation?.attentiveSilentMs ?? 0) < leaseMs) askKernel(fencer, host)
  }
}

function askKernel({ tools, table, knockedAtMs }: Fencer, { spec, status }: HostRecord): void {
  const askedAtMs = table.attentiveMs()
  if (askedAtMs - (knockedAtMs.get(spec.id) ?? -Infinity) < knockEveryMs) return
  if (status.state === 'fenced' || status.state === 'offline') return
  knockedAtMs.set(spec.id, askedAtMs)
  void tools.agents.knock(spec, knockTimeoutMs).then((isAnswered) => {
    if (isAnswered) table.kernelAnswered(spec.id, askedAtMs)
  })
}

async function carryOut(fencer: Fencer, hostId: HostId, decision: FencingDecision): Promise<void> {
  const { tools } = fencer
  const broke = (error: unknown) => tools.leader.logger.error('fence.broke', { hostId, error })
  switch (decision.kind) {
    case 'hold':
      return noteHold(fencer, hostId, decision.reason)
    case 'begin':
      return beginFencing(tools, hostId, decision.reason)
    case 'use-power-fence':
      // Not waited for: the lease runs beside it, and the first proof wins.
      return void usePowerFence(tools, hostId)
        .then((isOff) => (isOff ? lookAt(fencer, hostId) : undefined))
        .catch(broke)
    case 'write-pill':
      return void writePill(tools, hostId, decision).catch(broke)
    case 'prove':
      return void (await storeProof(tools, hostId, decision.proof))
  }
}

/** Told once, not at every look: numbers in the sentence may change. */
async function noteHold({ tools, holds }: Fencer, hostId: HostId, reason: string): Promise<void> {
  const kind = reason.replaceAll(/\d+/g, '#')
  if (holds.get(hostId) === kind) return
  holds.set(hostId, kind)
  await writeHostStatus(tools.leader, hostId, (status) => ({
    status: { ...status, detail: `not fenced: ${reason}` },
    event: { kind: 'host.not-fenced', subject: nameOf(tools.leader, hostId), message: reason },
  }))
}
