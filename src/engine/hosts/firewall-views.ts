/** What each host is told of security groups, computed anew only after something that it depends on has changed. */
import { hostFirewalls } from '../../control/firewall/host-firewalls.ts'
import { type HostFirewall, openFirewall } from '../../model/firewall.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import type { ClusterIndex } from '../state/cluster-index.ts'
import { digestOf } from '../state/digest-of.ts'

export type FirewallViews = {
  of(hostId: HostId): { readonly firewall: HostFirewall; readonly digest: number }
  /** True when this host has to know rules of this machine before it may start it. */
  concerns(hostId: HostId, vmId: VmId): boolean
}

const open = { firewall: openFirewall, digest: 0 }

export function createFirewallViews(index: ClusterIndex): FirewallViews {
  let views: ReadonlyMap<HostId, typeof open> | undefined
  index.onChange((touched) => {
    const isConcerned = touched.some(
      ({ noun, key }) => noun === 'security-group' || (noun === 'vm' && !key.endsWith('/status')),
    )
    if (isConcerned) views = undefined
  })
  const compute = () =>
    new Map(
      [...hostFirewalls(index.state())].map(([hostId, firewall]) => [
        hostId,
        { firewall, digest: digestOf(JSON.stringify(firewall)) },
      ]),
    )
  const viewOf = (hostId: HostId) => {
    views ??= compute()
    return views.get(hostId) ?? open
  }
  return {
    of: viewOf,
    concerns: (hostId, vmId) => viewOf(hostId).firewall.machines.some((machine) => machine.vmId === vmId),
  }
}
