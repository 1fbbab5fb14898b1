/**
 * Answers a heartbeat. What it tells that is new (session, boot, armed state, facts) is stored before it is acknowledged; a host that is
 * being fenced gets no acknowledgement until it has let go of every leased machine and its pills are cleared.
 */
import type { Acknowledgement, AgentConfiguration, Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import type { HostRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostStatus } from '../../model/host.ts'
import type { HostId, SessionId } from '../../model/ids.ts'
import type { Proof } from '../../model/proof.ts'
import type { AgentPort } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import type { HostTable } from './host-table.ts'
import { writeHostStatus } from './write-host-status.ts'

export type HeartbeatDesk = {
  receive(hostId: HostId, heartbeat: Heartbeat): Promise<Acknowledgement>
}

export type HeartbeatDeskOptions = {
  readonly leader: Leader
  readonly table: HostTable
  readonly agents: AgentPort
  /** True from the moment a fencing was decided, before it is stored. */
  isBeingFenced(hostId: HostId): boolean
  /** It came back and let go: what was under way against it is over. */
  fencingEnded(hostId: HostId): void
  configurationFor(hostId: HostId): AgentConfiguration
  /** Why no machine may be started at the moment; undefined when they may. */
  startsOnHold(): string | undefined
  /** Something changed that decisions depend on. */
  wake(hostId: HostId): void
}

export function createHeartbeatDesk(options: HeartbeatDeskOptions): HeartbeatDesk {
  const { leader, table } = options
  const returning = new Set<HostId>()
  const previousMachines = new Map<HostId, string>()
  /** Sessions that a newer one has replaced: nothing they say counts any more, however late it arrives. */
  const replaced = new Map<HostId, Set<SessionId>>()

  return {
    async receive(hostId, heartbeat) {
      const host = leader.index.state().hosts.get(hostId)
      if (host === undefined) throw new DialtoneError('not-found', `${hostId} is not a host of this cluster`)
      refuseOutdated(host, heartbeat)
      await storeWhatIsNew(host, heartbeat)
      table.heard(hostId, heartbeat)
      wakeIfMachinesChanged(hostId, heartbeat)
      const verdict = await judge(hostId, heartbeat)
      if (verdict.kind === 'admitted') {
        table.acknowledged(hostId, leader.clock.bootTimeMs())
        clearLatePill(hostId, heartbeat)
      }
      const configuration = options.configurationFor(hostId)
      return {
        hostId,
        term: leader.term,
        sequence: heartbeat.sequence,
        storeIncarnation: leader.store.incarnation,
        storeRevision: leader.index.revision(),
        verdict: verdict.kind,
        reason: verdict.reason,
        confirmedStarts: verdict.kind === 'admitted' ? confirmStarts(hostId, heartbeat) : [],
        configuration: configuration.revision === heartbeat.configurationRevision ? null : configuration,
      }
    },
  }

  /** A heartbeat that was overtaken proves nothing: what it tells may have changed since. */
  function refuseOutdated({ spec }: HostRecord, heartbeat: Heartbeat): void {
    const newest = table.heartbeat(spec.id)
    const gone = replaced.get(spec.id) ?? new Set()
    if (gone.has(heartbeat.session))
      throw new DialtoneError('session-void', `a newer session of ${spec.name} has been heard of`)
    if (newest === undefined) return
    if (newest.session !== heartbeat.session) {
      replaced.set(spec.id, new Set([...gone, newest.session].slice(-100)))
    } else if (heartbeat.sequence <= newest.sequence) {
      throw new DialtoneError(
        'session-void',
        `heartbeat ${heartbeat.sequence} of ${spec.name} was overtaken by ${newest.sequence}`,
      )
    }
  }

  function wakeIfMachinesChanged(hostId: HostId, heartbeat: Heartbeat): void {
    const machines = JSON.stringify(heartbeat.machines) + heartbeat.session
    if (previousMachines.get(hostId) === machines) return
    previousMachines.set(hostId, machines)
    options.wake(hostId)
  }

  async function judge(
    hostId: HostId,
    heartbeat: Heartbeat,
  ): Promise<{ kind: Acknowledgement['verdict']; reason: string }> {
    const host = leader.index.state().hosts.get(hostId)
    if (host === undefined) return { kind: 'hold', reason: 'the host was deleted' }
    if (options.isBeingFenced(hostId) || host.status.fencing !== null || host.status.state === 'fenced')
      return judgeReturn(host, heartbeat)
    if (
      host.status.state === 'offline' &&
      heartbeat.configurationRevision !== options.configurationFor(hostId).revision
    ) {
      return { kind: 'hold', reason: 'it learns of its storages and network first' }
    }
    if (host.status.state === 'suspect' || host.status.state === 'offline') {
      const wasOffline = host.status.state === 'offline'
      await writeHostStatus(leader, hostId, (status) =>
        status.fencing !== null || options.isBeingFenced(hostId)
          ? undefined
          : {
              status: { ...status, state: 'online', since: leader.clock.wallTime().toISOString(), detail: 'reports' },
              event: {
                kind: 'host.online',
                subject: host.spec.name,
                message: wasOffline ? 'the host reports' : 'the host answers again',
              },
            },
      )
      options.wake(hostId)
    }
    // It may have been decided to fence it, or even proven, while the status was being written.
    const now = leader.index.state().hosts.get(hostId)?.status
    if (options.isBeingFenced(hostId) || now?.fencing !== null || now.proof !== null) {
      return { kind: 'fenced', reason: 'it was decided to fence this host' }
    }
    return { kind: 'admitted', reason: '' }
  }

  /** It was being fenced, or is proven dead, and speaks again. First it lets go; then it is admitted. */
  function judgeReturn(host: HostRecord, heartbeat: Heartbeat): { kind: Acknowledgement['verdict']; reason: string } {
    const held = heartbeat.machines.filter((report) => report.leased)
    if (held.length > 0)
      return { kind: 'fenced', reason: `let go of ${held.map((report) => report.vmId).join(', ')} first` }
    if (!returning.has(host.spec.id)) {
      returning.add(host.spec.id)
      void readmit(host, heartbeat)
        .catch((error: unknown) => leader.logger.warn('host.not-readmitted', { hostId: host.spec.id, error }))
        .finally(() => returning.delete(host.spec.id))
    }
    return { kind: 'hold', reason: 'holds nothing any more and will be admitted' }
  }

  async function readmit(host: HostRecord, heartbeat: Heartbeat): Promise<void> {
    const { id: hostId, name } = host.spec
    const at = leader.clock.wallTime().toISOString()
    const proof = proofOfReturn(host, heartbeat, at)
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
    await clearPills(hostId)
    await writeHostStatus(leader, hostId, (status) => ({
      status: {
        ...status,
        state: 'online',
        since: leader.clock.wallTime().toISOString(),
        detail: 'reports',
        fencing: null,
        proof: null,
      },
      event: { kind: 'host.online', subject: name, message: 'the host is back and admitted again' },
    }))
    options.wake(hostId)
  }

  /** A pill whose writing was under way when the host was admitted again: nobody is being fenced, so it means nothing any more. */
  function clearLatePill(hostId: HostId, heartbeat: Heartbeat): void {
    if (!heartbeat.storages.some((storage) => storage.pill) || returning.has(hostId)) return
    returning.add(hostId)
    void clearPills(hostId)
      .catch((error: unknown) => leader.logger.warn('pill.not-cleared', { hostId, error }))
      .finally(() => returning.delete(hostId))
  }

  async function clearPills(hostId: HostId): Promise<void> {
    const host = leader.index.state().hosts.get(hostId)
    const session = host?.status.session
    if (host === undefined || session === null || session === undefined) return
    for (const storage of options.configurationFor(hostId).storages) {
      if (!storage.shared) continue
      const authority = { term: leader.term, session }
      await options.agents.writePill(host.spec, {
        authority,
        storageId: storage.storageId,
        slot: storage.slot,
        pill: null,
      })
    }
  }

  function confirmStarts(hostId: HostId, heartbeat: Heartbeat): Acknowledgement['confirmedStarts'] {
    if (options.startsOnHold() !== undefined) return []
    const { vms } = leader.index.state()
    return heartbeat.pendingStarts.filter(({ vmId, epoch }) => {
      const vm = vms.get(vmId)
      const { placement } = vm ?? {}
      if (vm === undefined || placement === undefined) return false
      const isOwner =
        placement.hostId === hostId && placement.epoch === epoch && placement.session === heartbeat.session
      return isOwner && vm.spec.desired !== 'stopped' && vm.spec.lifecycle === 'live'
    })
  }

  async function storeWhatIsNew(host: HostRecord, heartbeat: Heartbeat): Promise<void> {
    const storageIds = heartbeat.storages.map((storage) => storage.storageId).sort()
    const seen: Partial<HostStatus> = {
      session: heartbeat.session,
      bootId: heartbeat.bootId,
      armed: heartbeat.armed,
      storageIds,
      ...heartbeat.facts,
    }
    const isKnown = (status: HostStatus) => JSON.stringify({ ...status, ...seen }) === JSON.stringify(status)
    if (isKnown(host.status)) return
    await writeHostStatus(leader, host.spec.id, (status) => {
      if (isKnown(status)) return undefined
      const event = eventOf(host, status, heartbeat)
      return { status: { ...status, ...seen }, ...(event === undefined ? {} : { event }) }
    })
    options.wake(host.spec.id)
  }
}

function eventOf(host: HostRecord, before: HostStatus, heartbeat: Heartbeat) {
  const subject = host.spec.name
  if (before.bootId !== null && before.bootId !== heartbeat.bootId) {
    return {
      kind: 'host.rebooted',
      subject,
      message: `the host has booted anew (boot ${heartbeat.bootId.slice(0, 8)})`,
    }
  }
  if (before.session !== null && before.session !== heartbeat.session)
    return { kind: 'host.agent-restarted', subject, message: 'its agent restarted' }
  return undefined
}

function proofOfReturn(host: HostRecord, heartbeat: Heartbeat, provedAt: string): Proof {
  const base = { hostId: host.spec.id, hostName: host.spec.name, provedAt }
  const upToEpoch = heartbeat.highestKnownEpoch
  return { kind: 'released', ...base, session: heartbeat.session, upToEpoch }
}
