import type { HostView } from '../../model/api/views.ts'

/** What is free on a storage, by the host that sees least of it; null when no host that answers has it. */
export function leastFreeMiB(storageId: string, hosts: Iterable<HostView>): number | null {
  const seen = [...hosts]
    .filter(({ status }) => status.state === 'online' || status.state === 'maintenance')
    .flatMap(({ status }) => status.storageRoom.filter((room) => room.storageId === storageId))
    .map(({ freeMiB }) => freeMiB)
  return seen.length === 0 ? null : Math.min(...seen)
}
