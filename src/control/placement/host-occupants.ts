/** Who is where, sorted once for a question that is asked of every host. */
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { HostId } from '../../model/ids.ts'
import { ownersOf } from '../../model/migration/owners-of.ts'

export type HostOccupants = {
  /** Machines that are placed there and take room: wanted running, or not down yet. */
  placedOn(hostId: HostId): readonly VmRecord[]
  /** Machines elsewhere that it would take over. */
  guardedBy(hostId: HostId): readonly VmRecord[]
}

export function occupantsOf(cluster: ClusterState): HostOccupants {
  const placed = new Map<HostId, VmRecord[]>()
  const guarded = new Map<HostId, VmRecord[]>()
  for (const vm of cluster.vms.values()) {
    // What moves takes its room on both hosts.
    if (isWanted(vm)) for (const hostId of ownersOf(vm)) add(placed, hostId, vm)
    if (vm.standby !== undefined && isGuarded(vm)) add(guarded, vm.standby.hostId, vm)
  }
  return { placedOn: (hostId) => placed.get(hostId) ?? [], guardedBy: (hostId) => guarded.get(hostId) ?? [] }
}

/** It takes room where it is placed: wanted running, or not down yet. */
export function isWanted({ spec, status }: VmRecord): boolean {
  return spec.desired !== 'stopped' || (status !== undefined && status.state !== 'stopped')
}

function isGuarded({ spec, placement, standby }: VmRecord): boolean {
  return placement !== undefined && placement.hostId !== standby?.hostId && spec.desired !== 'stopped'
}

function add(map: Map<HostId, VmRecord[]>, hostId: HostId, vm: VmRecord): void {
  const list = map.get(hostId)
  if (list === undefined) map.set(hostId, [vm])
  else list.push(vm)
}
