/** A service as people see it: its components with their machines, its restart tree, and what was restarted. */

import { restartsOf } from '../../control/services/restart-history.ts'
import { type Cell, restartTreeOf } from '../../control/services/restart-tree.ts'
import { memberHealth, membersOf, serviceStatus } from '../../control/services/service-status.ts'
import type { ServiceView } from '../../model/api/service-routes.ts'
import type { ClusterState } from '../../model/cluster-state.ts'
import type { ServiceRecord } from '../../model/service/service.ts'
import type { RestartGroup } from '../../model/service/service-file.ts'

export function serviceView(cluster: ClusterState, service: ServiceRecord): ServiceView {
  const { spec, lessons } = service
  const { health, components } = serviceStatus(cluster, service)
  const members = membersOf(cluster, spec.id)
  return {
    ...spec,
    health,
    components: components.map((component) => ({
      ...component,
      needs: spec.file.components[component.name]?.needs ?? [],
      machines: (members.get(component.name) ?? []).map((vm) => ({
        name: vm.spec.name,
        id: vm.spec.id,
        state: vm.spec.lifecycle === 'live' ? (vm.status?.state ?? 'waiting') : vm.spec.lifecycle,
        hostName: vm.placement === undefined ? null : (cluster.hosts.get(vm.placement.hostId)?.spec.name ?? null),
        address: vm.spec.address,
        isServing: memberHealth(vm) === 'serving',
      })),
    })),
    tree: restartTreeOf(spec.file).cells.filter(isGroup).map(groupOf),
    isTreeDerived: spec.file.groups === undefined,
    restarts: restartsOf(cluster, spec.id)
      .toReversed()
      .map(({ taskId, at, cell, components: restarted, reason, isCured }) => ({
        ...{ taskId, at, cell, reason, isCured },
        components: [...restarted],
      })),
    lessons,
  }
}

function isGroup({ cells }: Cell): boolean {
  return cells.length > 0
}

function groupOf({ name, cells }: Cell): RestartGroup {
  return {
    name,
    components: cells.filter((cell) => !isGroup(cell)).flatMap((cell) => cell.components),
    groups: cells.filter(isGroup).map(groupOf),
  }
}
