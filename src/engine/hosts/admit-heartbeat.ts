/**
 * Answers a heartbeat. What it tells that is new (session, boot, armed state, facts) is stored before it is acknowledged; a host that is
 * being fenced gets no acknowledgement until it has let go of every leased machine and its pills are cleared.
 */

import { hearsNothing } from '../../control/judge-hosts.ts'
import type { Acknowledgement, Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import type { HostRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostState } from '../../model/host.ts'
import type { HostId } from '../../model/ids.ts'
import { isSame } from '../../model/is-same.ts'
import { isUnsettled } from '../../model/rebuild/rebuilt-vm.ts'
import type { HostTable } from './host-table.ts'
import { createHeartbeatOrder } from './overtaken-heartbeats.ts'
import { createReadmission, type Readmission, type ReadmissionOptions, type Verdict } from './readmit-host.ts'
import { storeHeartbeat } from './store-heartbeat.ts'
import { writeHostStatus } from './write-host-status.ts'

export type HeartbeatDesk = {
  receive(hostId: HostId, heartbeat: Heartbeat): Promise<Acknowledgement>
}

export type HeartbeatDeskOptions = ReadmissionOptions & {
  readonly table: HostTable
  /** True from the moment a fencing was decided, before it is stored. */
  isBeingFenced(hostId: HostId): boolean
  /** Why no machine may be started at the moment; undefined when they may. */
  startsOnHold(): string | undefined
  /** Begins to store what the host tells of failures and recoveries; answers up to which record of its session all is stored by now. */
  storeRecords(hostId: HostId, heartbeat: Heartbeat): number
}

export function createHeartbeatDesk(options: HeartbeatDeskOptions): HeartbeatDesk {
  const { leader, table } = options
  const order = createHeartbeatOrder()
  const readmission = createReadmission(options)
  const toldBefore = new Map<HostId, Pick<Heartbeat, 'session' | 'machines'>>()

  const receive = async ({ hostId, heartbeat }: Received): Promise<Acknowledgement> => {
    const host = hostOf(options, hostId)
    order.check(host, heartbeat, table.heartbeat(hostId))
    const isStored = await storeHeartbeat(leader, host, heartbeat)
    table.heard(hostId, heartbeat, leader.clock.bootTimeMs())
    const told = { session: heartbeat.session, machines: heartbeat.machines }
    if (isStored !== 'known' || !isSame(toldBefore.get(hostId), told)) options.wake(hostId)
    toldBefore.set(hostId, told)
    const verdict = isStored === 'failed' ? unstored : await judge(options, readmission, { hostId, heartbeat })
    if (verdict.kind === 'admitted') {
      table.acknowledged(hostId, leader.clock.bootTimeMs())
      readmission.clearLatePill(hostId, heartbeat)
    }
    const recordsStoredUpTo = isStored === 'failed' ? 0 : options.storeRecords(hostId, heartbeat)
    return answer(options, { hostId, heartbeat, verdict, recordsStoredUpTo })
  }

  // One after the other for each host: a session that is replaced while its heartbeat is being stored must not overtake the new one.
  const turns = new Map<HostId, Promise<unknown>>()
  return {
    receive(hostId, heartbeat) {
      // At once: a store that is slow at the moment must not make a host look silent.
      table.speaks(hostId)
      const turn = (turns.get(hostId) ?? Promise.resolve()).then(() => receive({ hostId, heartbeat }))
      turns.set(
        hostId,
        turn.catch(() => undefined),
      )
      return turn
    },
  }
}

/** What it told is not written down, so nothing may be promised on it. */
const unstored: Verdict = { kind: 'hold', reason: 'what this host told could not be stored yet' }

type Received = { readonly hostId: HostId; readonly heartbeat: Heartbeat }

async function judge(
  options: HeartbeatDeskOptions,
  readmission: Readmission,
  { hostId, heartbeat }: Received,
): Promise<Verdict> {
  const host = hostOf(options, hostId)
  if (isFenced(options, host)) return readmission.judgeReturn(host, heartbeat)
  const knowsConfiguration = heartbeat.configurationRevision === options.configurationFor(hostId).revision
  if (host.status.state === 'offline' && !knowsConfiguration)
    return { kind: 'hold', reason: 'it learns of its storages and network first' }
  const doubt = host.status.state === 'offline' ? doubtAbout(options, { hostId, heartbeat }) : undefined
  if (doubt !== undefined) return { kind: 'hold', reason: doubt }
  await settleState(options, host)
  // It may have been decided to fence it, or even proven, while the status was being written.
  if (isFenced(options, hostOf(options, hostId))) return { kind: 'fenced', reason: 'it was decided to fence this host' }
  return { kind: 'admitted', reason: '' }
}

/**
 * A VM that was entered anew stands still on a host that this state has not admitted yet, for want of a licence, and is not known to be the
 * placed life. What knew whether the host was being fenced is lost, and its lease would let that life go on.
 */
function doubtAbout({ leader }: HeartbeatDeskOptions, { hostId, heartbeat }: Received): string | undefined {
  const { vms } = leader.index.state()
  for (const { vmId, phase, leased, epoch } of heartbeat.machines) {
    const { spec, placement } = vms.get(vmId) ?? {}
    if (spec?.rebuilt === undefined || phase !== 'frozen' || !leased) continue
    if (isUnsettled(spec) || placement?.hostId !== hostId || placement.epoch !== epoch)
      return `${spec.name} stands still on it, and it is not known yet whether it runs elsewhere`
  }
  return undefined
}

function isFenced(options: HeartbeatDeskOptions, { spec, status }: HostRecord): boolean {
  return options.isBeingFenced(spec.id) || status.fencing !== null || status.proof !== null || status.state === 'fenced'
}

/** A host that is heard is online, or deaf. */
async function settleState(options: HeartbeatDeskOptions, { spec, status: before }: HostRecord): Promise<void> {
  const { leader, table } = options
  const isDeaf = hearsNothing(leader.index.state(), table.observation(spec.id, leader.clock.bootTimeMs()))
  const state = isDeaf ? 'deaf' : 'online'
  if (before.state === state || before.state === 'fenced' || before.state === 'maintenance') return
  const detail = isDeaf ? 'its heartbeats arrive, but no answer reaches it: it takes no orders' : 'reports'
  await writeHostStatus(leader, spec.id, (status) => {
    if (status.fencing !== null || options.isBeingFenced(spec.id)) return undefined
    const since = leader.clock.wallTime().toISOString()
    return {
      status: { ...status, state, since, detail },
      event: { kind: `host.${state}`, subject: spec.name, message: isDeaf ? detail : howItCameBack(before.state) },
    }
  })
  options.wake(spec.id)
}

function howItCameBack(before: HostState): string {
  if (before === 'deaf') return 'the host hears again'
  return before === 'offline' ? 'the host reports' : 'the host answers again'
}

function answer(
  options: HeartbeatDeskOptions,
  {
    hostId,
    heartbeat,
    verdict,
    recordsStoredUpTo,
  }: Received & { readonly verdict: Verdict; readonly recordsStoredUpTo: number },
): Acknowledgement {
  const { leader } = options
  const configuration = options.configurationFor(hostId)
  return {
    hostId,
    term: leader.term,
    sequence: heartbeat.sequence,
    storeIncarnation: leader.store.incarnation,
    storeRevision: leader.index.revision(),
    verdict: verdict.kind,
    reason: verdict.reason,
    confirmedStarts: verdict.kind === 'admitted' ? confirmStarts(options, { hostId, heartbeat }) : [],
    recordsStoredUpTo,
    configuration: configuration.revision === heartbeat.configurationRevision ? null : configuration,
  }
}

/** Of the machines that stand paused: those whose epoch is the owner's, in this session, and that are still wanted. */
function confirmStarts(
  { leader, startsOnHold }: HeartbeatDeskOptions,
  { hostId, heartbeat }: Received,
): Acknowledgement['confirmedStarts'] {
  if (startsOnHold() !== undefined) return []
  const { vms } = leader.index.state()
  return heartbeat.pendingStarts.filter(({ vmId, epoch }) => {
    const { spec, placement } = vms.get(vmId) ?? {}
    if (spec === undefined || placement === undefined) return false
    const isOwner = placement.hostId === hostId && placement.epoch === epoch && placement.session === heartbeat.session
    return isOwner && spec.desired !== 'stopped' && spec.lifecycle === 'live'
  })
}

function hostOf({ leader }: HeartbeatDeskOptions, hostId: HostId): HostRecord {
  const host = leader.index.state().hosts.get(hostId)
  if (host === undefined) throw new DialtoneError('not-found', `${hostId} is not a host of this cluster`)
  return host
}
