/**
 * What is entered into a state that was lost, from what hosts and storages tell. What is there already is left alone, so that it may be done
 * again and again; whatever is doubtful is said. Pure.
 */
import type { ClusterState } from '../../model/cluster-state.ts'
import { flatNetworkId } from '../../model/ids.ts'
import { countedTimings } from '../../model/protection/counted-timings.ts'
import type { RebuildDoubt, RebuildItem, RebuildPlan } from '../../model/rebuild/rebuild-plan.ts'
import type { Testimony } from '../../model/rebuild/testimony.ts'
import type { Timings } from '../../model/timings.ts'
import { type FoundMachine, findMachines, placeName, volumesOf } from './found-manifests.ts'
import { planHosts } from './plan-hosts.ts'
import { planSurroundings } from './plan-surroundings.ts'
import { planVms, snapshotsIn } from './plan-vms.ts'

/** `at`: the time of this moment. */
export function planRebuild(cluster: ClusterState, testimony: Testimony, at: string): RebuildPlan {
  const machines = [...findMachines(testimony).values()]
  const hosts = planHosts(cluster, testimony, { machines, at })
  const around = planSurroundings(cluster, testimony, { machines, hosts })
  const vms = planVms(cluster, testimony, {
    machines,
    around: {
      hosts,
      storages: new Map([...cluster.storages.values(), ...around.storages].map((storage) => [storage.id, storage])),
      networkIds: new Set([flatNetworkId, ...cluster.networks.keys(), ...around.networks.map(({ id }) => id)]),
      groupIds: new Set([...cluster.securityGroups.keys(), ...around.securityGroups.map(({ id }) => id)]),
    },
  })
  const late = snapshotsOfPresent(cluster, machines)
  const entered = vms.entries.flatMap(({ spec, snapshots }) => snapshots.map((snapshot) => ({ vm: spec, snapshot })))
  const snapshotItems = [...entered, ...late].map(
    ({ vm, snapshot }): RebuildItem => ({
      ...{ noun: 'snapshot', id: snapshot.id, name: `${vm.name}/${snapshot.name}`, action: 'enter' },
      ...{ from: 'beside its disk', detail: `of ${snapshot.takenAt}, ${snapshot.kind}`, doubts: [] },
    }),
  )
  return {
    view: {
      items: [...hosts.items, ...around.items, ...vms.items, ...snapshotItems],
      doubts: [...around.doubts, ...orphans(cluster, testimony, machines), ...whatIsLost(hosts.entries.length)],
      answered: testimony.hosts.filter(({ reports }) => reports !== undefined).map(({ host }) => host.name),
    },
    entries: {
      formerTimings: formerTimings(cluster, testimony),
      flatNetwork: around.flatNetwork,
      networks: around.networks,
      securityGroups: around.securityGroups,
      storages: around.storages,
      vms: vms.entries,
      snapshots: late.map(({ vm, snapshot }) => ({ vmId: vm.id, snapshot })),
      hosts: hosts.entries,
    },
  }
}

/** Those that were not found when their machine was entered. */
function snapshotsOfPresent({ vms, snapshots }: ClusterState, machines: readonly FoundMachine[]) {
  return machines.flatMap(({ manifest: { vm }, volumes }) =>
    vms.get(vm.id)?.spec.rebuilt === undefined
      ? []
      : snapshotsIn(volumes, vm)
          .filter(({ id }) => !snapshots.has(id))
          .map((snapshot) => ({ vm, snapshot })),
  )
}

/** Disks that nothing tells of, and storages that nobody could read. */
function orphans(
  cluster: ClusterState,
  testimony: Testimony,
  machines: readonly FoundMachine[],
): readonly RebuildDoubt[] {
  const named = new Set(machines.flatMap(({ manifest }) => manifest.vm.disks.map(({ volumeId }) => volumeId)))
  const unnamed = volumesOf(testimony).filter(
    ({ contents: { volumeId } }) => !named.has(volumeId) && !cluster.volumes.has(volumeId),
  )
  return [
    ...unnamed.map((place) => ({
      subject: placeName(place),
      message: place.contents.error ?? 'is a disk that no manifest tells of',
      next: 'It is not touched. Look into it, and remove its folder when you know that nobody misses it.',
    })),
    ...testimony.unread.map(({ storage, why }) => ({
      subject: storage.name,
      message: `nobody could read this storage: ${why}`,
      next: 'Bring a host back that has it, then repeat: what lies there alone is not in this plan.',
    })),
  ]
}

/** What lies beside no disk. */
function whatIsLost(hosts: number): readonly RebuildDoubt[] {
  if (hosts === 0) return []
  return [
    {
      subject: 'what is not beside disks',
      message:
        'users, tokens, services, power fences, labels of hosts, discs, the ledger and the events were in the lost state only',
      next: 'Set them again; without a fence or an armed watchdog a silent host needs your word.',
    },
  ]
}

/** The longest that a host may still count with, where it was told other times than these. */
function formerTimings({ cluster }: ClusterState, { hosts }: Testimony): Timings | null {
  const told = hosts.flatMap(({ introduction }) => introduction?.configuration?.timings ?? [])
  const others = told.filter((timings) => JSON.stringify(timings) !== JSON.stringify(cluster.timings))
  if (others.length === 0) return null
  return others.reduce(
    (longest: Timings, timings) => countedTimings({ timings: longest, formerTimings: timings }),
    countedTimings(cluster),
  )
}
