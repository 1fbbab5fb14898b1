/** Stores what a heartbeat tells that is new: session, boot, armed state, storages, facts. Always before it is acknowledged. */
import type { Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import type { HostRecord } from '../../model/cluster-state.ts'
import type { HostStatus } from '../../model/host.ts'
import { isSame } from '../../model/is-same.ts'
import type { Leader } from '../leader.ts'
import type { NewEvent } from '../state/ledger-of-events.ts'
import { writeHostStatus } from './write-host-status.ts'

/** `stored`: something was new and is written. `failed`: it could not be written, so the heartbeat must not be acknowledged. */
export async function storeHeartbeat(
  leader: Leader,
  host: HostRecord,
  heartbeat: Heartbeat,
): Promise<'known' | 'stored' | 'failed'> {
  const storageIds = heartbeat.storages.map((storage) => storage.storageId).sort()
  const seen: Partial<HostStatus> = {
    session: heartbeat.session,
    agentLife: heartbeat.agentLife,
    bootId: heartbeat.bootId,
    armed: heartbeat.armed,
    storageIds,
    storageRoom: roomOf(host.status, heartbeat),
    ...heartbeat.facts,
  }
  const isKnown = (status: HostStatus) => isSame({ ...status, ...seen }, status)
  if (isKnown(host.status)) return 'known'
  await writeHostStatus(leader, host.spec.id, (status) => {
    if (isKnown(status)) return undefined
    const event = eventOf(host, status, heartbeat)
    return { status: { ...status, ...seen }, ...(event === undefined ? {} : { event }) }
  })
  const stored = leader.index.state().hosts.get(host.spec.id)?.status
  return stored !== undefined && isKnown(stored) ? 'stored' : 'failed'
}

/** Stored only when it is much different: free room changes all the time. */
function roomOf({ storageRoom: known }: HostStatus, { storages }: Heartbeat): HostStatus['storageRoom'] {
  return storages
    .flatMap(({ storageId, freeMiB }) => (freeMiB === null ? [] : [{ storageId, freeMiB }]))
    .map((told) => {
      const before = known.find(({ storageId }) => storageId === told.storageId)
      const difference = Math.abs(told.freeMiB - (before?.freeMiB ?? Number.POSITIVE_INFINITY))
      return before !== undefined && difference <= Math.max(256, before.freeMiB / 10) ? before : told
    })
    .toSorted((one, other) => one.storageId.localeCompare(other.storageId))
}

function eventOf(host: HostRecord, before: HostStatus, heartbeat: Heartbeat): NewEvent | undefined {
  const subject = host.spec.name
  if (before.bootId !== null && before.bootId !== heartbeat.bootId) {
    return {
      kind: 'host.rebooted',
      subject,
      message: `the host has booted anew (boot ${heartbeat.bootId.slice(0, 8)})`,
    }
  }
  const isOtherSession = before.session !== null && before.session !== heartbeat.session
  return isOtherSession ? { kind: 'host.agent-restarted', subject, message: 'its agent restarted' } : undefined
}
