/** Which host works on what is on a storage, and by what right. */
import type { HostRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { StorageId } from '../../model/ids.ts'
import type { Leader } from '../leader.ts'

/** A host that answers and has the storage; the wished one before others. */
export function hostForStorage(
  leader: Leader,
  storageId: StorageId,
  wished: HostRecord['spec']['id'] | undefined,
): HostRecord {
  const state = leader.index.state()
  const able = [...state.hosts.values()].filter(
    ({ status }) => status.state === 'online' && status.storageIds.includes(storageId),
  )
  const host = able.find(({ spec }) => spec.id === wished) ?? able[0]
  if (host !== undefined) return host
  const name = state.storages.get(storageId)?.name ?? storageId
  throw new DialtoneError('host-unreachable', `no host that answers has the storage ${name}`)
}

export function authorityOf(leader: Leader, host: HostRecord) {
  const { session } = host.status
  if (session === null) throw new DialtoneError('host-unreachable', `${host.spec.name} has not reported yet`)
  return { term: leader.term, session }
}
