/** What is written beside the disks of a machine, from what the store holds; and whether something of it has changed since. */
import { nextEpoch } from '../../control/next-epoch.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { SecurityGroup } from '../../model/firewall.ts'
import type { SecurityGroupId } from '../../model/ids.ts'
import { nicsOf } from '../../model/network.ts'
import { type ManifestVersion, type VmManifest, withholdSecrets } from '../../model/rebuild/vm-manifest.ts'
import type { Leader } from '../leader.ts'
import { digestOf } from '../state/digest-of.ts'
import { keys } from '../state/keys.ts'

/** The lowest epoch that its next manifest may have. */
export function epochOf(vm: VmRecord): number {
  return nextEpoch(vm) - 1
}

export function composeManifest(
  cluster: ClusterState,
  vm: VmRecord,
  made: { readonly version: ManifestVersion; readonly at: string },
): VmManifest {
  const { spec, placement } = vm
  const host = placement === undefined ? undefined : cluster.hosts.get(placement.hostId)?.spec
  const volumes = spec.disks.flatMap(({ volumeId }) => present(cluster.volumes.get(volumeId)))
  const storageIds = new Set(spec.disks.map(({ storageId }) => storageId))
  const networkIds = new Set(nicsOf(spec).map(({ networkId }) => networkId))
  return {
    formatVersion: 1,
    version: made.version,
    writtenAt: made.at,
    clusterName: cluster.cluster.name,
    ...withholdSecrets(spec),
    placement:
      placement === undefined || host === undefined
        ? null
        : {
            host: { id: host.id, name: host.name, number: host.number, address: host.address, port: host.port },
            epoch: placement.epoch,
          },
    volumes,
    storages: [...storageIds].flatMap((storageId) => present(cluster.storages.get(storageId))),
    flatNetwork: cluster.network ?? null,
    networks: [...networkIds].flatMap((networkId) => present(cluster.networks.get(networkId))),
    securityGroups: [...groupsOf(cluster, spec.securityGroupIds)],
    snapshotSchedule: vm.snapshotSchedule ?? null,
  }
}

/** Another one whenever something that its manifest says is: made from the revisions of what it says, which cost nothing to read. */
export function basisOf({ index, store }: Pick<Leader, 'index' | 'store'>, { spec, placement }: VmRecord): string {
  const { securityGroups } = index.state()
  const parts = [
    keys.vm(spec.id),
    keys.vmPlacement(spec.id),
    keys.vmSnapshotSchedule(spec.id),
    keys.network,
    ...(placement === undefined ? [] : [keys.host(placement.hostId)]),
    ...spec.disks.flatMap(({ volumeId, storageId }) => [keys.volume(volumeId), keys.storage(storageId)]),
    ...nicsOf(spec).map(({ networkId }) => keys.virtualNetwork(networkId)),
    ...[...groupsOf({ securityGroups }, spec.securityGroupIds)].map(({ id }) => keys.securityGroup(id)),
  ]
  return `${store.incarnation} ${digestOf(parts.map((key) => `${key} ${index.modRevision(key)}`).join(' '))}`
}

/** Its groups, and those that their rules speak of. */
function groupsOf(
  { securityGroups }: Pick<ClusterState, 'securityGroups'>,
  groupIds: readonly SecurityGroupId[],
): ReadonlySet<SecurityGroup> {
  const found = new Set<SecurityGroup>()
  const wanted = [...groupIds]
  for (const groupId of wanted) {
    const group = securityGroups.get(groupId)
    if (group === undefined || found.has(group)) continue
    found.add(group)
    for (const { peer } of group.rules) if (peer.kind === 'group') wanted.push(peer.groupId)
  }
  return found
}

function present<T>(value: T | undefined): readonly T[] {
  return value === undefined ? [] : [value]
}
