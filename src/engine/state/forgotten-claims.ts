/**
 * After the store went back, each host is asked once which machines had the disks that only it has. A machine that has moved with such disks,
 * and of which nothing lives any more, is found by that, and by nothing else.
 */
import type { ClaimedDisks } from '../../control/vm-decision.ts'
import type { DiskClaim } from '../../model/agent-protocol/agent-contract.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import type { AgentPort } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import { isUnreachable } from '../vms/end-migration.ts'

export type ForgottenClaims = {
  /** Asks it, unless it has told or is just being asked. To be called again and again: a call may fail. */
  ask(hostId: HostId): void
  hasTold(hostId: HostId): boolean
  /** Of each host, under the highest epoch that it has there. */
  of(vmId: VmId): readonly ClaimedDisks[]
  highestEpoch(): number
}

/** `told`: this host has, just now. */
export function createForgottenClaims(
  leader: Leader,
  agents: Pick<AgentPort, 'localClaims'>,
  told: (hostId: HostId) => void,
): ForgottenClaims {
  const known = new Map<HostId, readonly DiskClaim[]>()
  const asked = new Set<HostId>()

  const ask = async (hostId: HostId): Promise<void> => {
    const host = leader.index.state().hosts.get(hostId)
    if (host === undefined) return
    const { claims } = await agents.localClaims(host.spec).catch((error: unknown) => {
      if (isUnreachable(error)) throw error
      // It can't read its own disks: nothing can be started there either, and the others are not held up.
      leader.logger.error('claims.not-read', { hostId, error })
      return { claims: [] }
    })
    known.set(hostId, claims)
    told(hostId)
  }

  return {
    ask(hostId) {
      if (known.has(hostId) || asked.has(hostId)) return
      asked.add(hostId)
      ask(hostId)
        .catch((error: unknown) => leader.logger.warn('claims.not-told', { hostId, error }))
        .finally(() => asked.delete(hostId))
    },
    hasTold: (hostId) => known.has(hostId),
    of: (vmId) => [...known].flatMap(([hostId, claims]) => newestOf(hostId, vmId, claims)),
    highestEpoch: () => Math.max(0, ...[...known.values()].flat().map(({ epoch }) => epoch)),
  }
}

function newestOf(hostId: HostId, vmId: VmId, claims: readonly DiskClaim[]): readonly ClaimedDisks[] {
  const own = claims.filter((claim) => claim.vmId === vmId)
  if (own.length === 0) return []
  const epoch = Math.max(...own.map((claim) => claim.epoch))
  const newest = own.filter((claim) => claim.epoch === epoch)
  return [{ hostId, epoch, disks: newest.map(({ volumeId, storageId }) => ({ volumeId, storageId })) }]
}
