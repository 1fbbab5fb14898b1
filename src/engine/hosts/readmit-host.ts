/** The way back of a host that was being fenced, or is proven dead, and speaks again: it lets go, its pills are cleared, it is admitted. */
import type { Acknowledgement, AgentConfiguration, Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import type { HostRecord } from '../../model/cluster-state.ts'
import type { HostId } from '../../model/ids.ts'
import type { Proof } from '../../model/proof.ts'
import type { AgentPort } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import { orderTarget } from '../order-target.ts'
import { writeHostStatus } from './write-host-status.ts'

export type Verdict = { readonly kind: Acknowledgement['verdict']; readonly reason: string }

export type ReadmissionOptions = {
  readonly leader: Leader
  readonly agents: AgentPort
  /** It came back and let go: what was under way against it is over. */
  fencingEnded(hostId: HostId): void
  configurationFor(hostId: HostId): AgentConfiguration
  wake(hostId: HostId): void
}

export type Readmission = {
  /** First it lets go of every leased machine; then its way back begins. */
  judgeReturn(host: HostRecord, heartbeat: Heartbeat): Verdict
  /** A pill whose writing was under way when the host was admitted again: nobody is being fenced, so it means nothing any more. */
  clearLatePill(hostId: HostId, heartbeat: Heartbeat): void
}

export function createReadmission(options: ReadmissionOptions): Readmission {
  const returning = new Set<HostId>()
  const once = (hostId: HostId, failure: string, work: () => Promise<void>) => {
    if (returning.has(hostId)) return
    returning.add(hostId)
    void work()
      .catch((error: unknown) => options.leader.logger.warn(failure, { hostId, error }))
      .finally(() => returning.delete(hostId))
  }
  return {
    judgeReturn(host, heartbeat) {
      const held = heartbeat.machines.filter((report) => report.leased)
      if (held.length > 0)
        return { kind: 'fenced', reason: `let go of ${held.map((report) => report.vmId).join(', ')} first` }
      once(host.spec.id, 'host.not-readmitted', () => readmit(options, host, heartbeat))
      return { kind: 'hold', reason: 'holds nothing any more and will be admitted' }
    },
    clearLatePill(hostId, heartbeat) {
      if (heartbeat.storages.some((storage) => storage.pill))
        once(hostId, 'pill.not-cleared', () => clearPills(options, hostId))
    },
  }
}

async function readmit(options: ReadmissionOptions, host: HostRecord, heartbeat: Heartbeat): Promise<void> {
  const { leader } = options
  const { id: hostId, name } = host.spec
  const at = leader.clock.wallTime().toISOString()
  const proof: Proof = {
    kind: 'released',
    hostId,
    hostName: name,
    provedAt: at,
    session: heartbeat.session,
    upToEpoch: heartbeat.highestKnownEpoch,
  }
  await writeHostStatus(leader, hostId, (status) =>
    status.proof !== null
      ? undefined
      : {
          status: { ...status, state: 'fenced', since: at, proof, detail: 'it came back and let go' },
          event: { kind: 'host.fenced', subject: name, message: 'it came back and let go of every machine with HA' },
        },
  )
  options.fencingEnded(hostId)
  options.wake(hostId)
  await clearPills(options, hostId)
  await writeHostStatus(leader, hostId, (status) => {
    const since = leader.clock.wallTime().toISOString()
    return {
      status: { ...status, state: 'online', since, detail: 'reports', fencing: null, proof: null },
      event: { kind: 'host.online', subject: name, message: 'the host is back and admitted again' },
    }
  })
  options.wake(hostId)
}

/** The host clears its own slots: it is the one that certainly reaches them. */
async function clearPills({ leader, agents, configurationFor }: ReadmissionOptions, hostId: HostId): Promise<void> {
  const target = orderTarget(leader, hostId)
  if (target === undefined) return
  const { host, authority } = target
  for (const { storageId, slot, shared } of configurationFor(hostId).storages) {
    if (shared) await agents.writePill(host, { authority, storageId, slot, pill: null })
  }
}
