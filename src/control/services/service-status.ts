/** How a service is, from what is stored of its machines. */
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { ServiceId } from '../../model/ids.ts'
import type { ServiceHealth, ServiceRecord } from '../../model/service/service.ts'

/** `away`: its owner wants it so, or it is being made or deleted. */
export type MemberHealth = 'serving' | 'recovering' | 'failing' | 'away'

/** The machines of a service, by component, replicas in their order. */
export function membersOf(
  cluster: Pick<ClusterState, 'vms'>,
  serviceId: ServiceId,
): ReadonlyMap<string, readonly VmRecord[]> {
  const own = [...cluster.vms.values()].filter(({ spec }) => spec.membership?.serviceId === serviceId)
  const sorted = own.toSorted(
    (left, right) => (left.spec.membership?.replica ?? 0) - (right.spec.membership?.replica ?? 0),
  )
  return Map.groupBy(sorted, ({ spec }) => spec.membership?.component ?? '')
}

/** A machine that nobody probes serves while it runs. */
export function memberHealth({ spec, status }: VmRecord): MemberHealth {
  if (spec.lifecycle !== 'live' || spec.desired !== 'running') return 'away'
  const service = status?.recovery?.service ?? 'unknown'
  switch (status?.state) {
    case 'running':
      if (spec.probe === null || service === 'correct') return 'serving'
      return service === 'wrong' ? 'failing' : 'recovering'
    case 'starting':
    case 'restarting':
    case 'waiting':
    case undefined:
      return 'recovering'
    default:
      return 'failing'
  }
}

export type ComponentStatus = {
  readonly name: string
  readonly replicas: number
  readonly serving: number
  readonly health: ServiceHealth
}

/** `up` with all replicas of all components; `down` while a component has none. */
export function serviceStatus(
  cluster: Pick<ClusterState, 'vms'>,
  { spec }: Pick<ServiceRecord, 'spec'>,
): { readonly health: ServiceHealth; readonly components: readonly ComponentStatus[] } {
  const members = membersOf(cluster, spec.id)
  const components = Object.entries(spec.file.components).map(([name, { replicas }]) => {
    const serving = (members.get(name) ?? []).filter((vm) => memberHealth(vm) === 'serving').length
    return { name, replicas, serving, health: healthOf(serving, replicas) }
  })
  const health = components.some((one) => one.health === 'down')
    ? 'down'
    : components.some((one) => one.health === 'degraded')
      ? 'degraded'
      : 'up'
  return { health, components }
}

function healthOf(serving: number, replicas: number): ServiceHealth {
  if (serving === 0) return 'down'
  return serving < replicas ? 'degraded' : 'up'
}
