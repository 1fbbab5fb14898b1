/** What becomes of the machines when hosts die: tried on a copy of the cluster, with the function that places them when it really happens. */
import type { ClusterState, HostRecord, VmRecord } from '../../model/cluster-state.ts'
import type { HostId } from '../../model/ids.ts'
import { type HostVerdict, placeVm } from '../place-vm.ts'

export type Recovered = {
  readonly vm: VmRecord
  readonly hostId: HostId
  /** Its image is kept there already, with a process that waits. */
  readonly isOnStandby: boolean
  readonly reason: string
}
export type Stranded = { readonly vm: VmRecord; readonly verdicts: readonly HostVerdict[] }
export type StaysDown = { readonly vm: VmRecord; readonly reason: string }

export type LossOutcome = {
  readonly lost: readonly HostId[]
  readonly recovered: readonly Recovered[]
  /** Machines with HA that no host takes. */
  readonly stranded: readonly Stranded[]
  /** Machines that nobody promised to start elsewhere. */
  readonly staysDown: readonly StaysDown[]
  /** The cluster afterwards. */
  readonly cluster: ClusterState
}

/** All these hosts die at once, and are proven dead. */
export function simulateLoss(cluster: ClusterState, lost: readonly HostId[]): LossOutcome {
  const vms = new Map(cluster.vms)
  let after: ClusterState = { ...cluster, hosts: withoutHosts(cluster, lost), vms }
  const victims = [...cluster.vms.values()].filter((vm) => isOn(vm, lost)).sort(byRecoveryOrder)
  const recovered: Recovered[] = []
  const stranded: Stranded[] = []
  const staysDown: StaysDown[] = []
  for (const vm of victims) {
    const reason = whyItStaysDown(vm, cluster)
    if (reason !== undefined) {
      staysDown.push({ vm, reason })
      continue
    }
    const choice = placeVm(after, vm.spec, { preferred: vm.standby?.hostId, takesOver: true, recovers: true })
    if (choice.kind === 'no-host-fits') {
      stranded.push({ vm, verdicts: choice.verdicts })
      continue
    }
    const { hostId } = choice
    recovered.push({ vm, hostId, isOnStandby: vm.standby?.hostId === hostId, reason: choice.reason })
    after = moveVm(after, vm, hostId)
  }
  return { lost, recovered, stranded, staysDown, cluster: after }
}

/**
 * In which order machines look for a new place after a failure: lower start orders first, and among them the big ones, as long as there
 * is room for them.
 */
export function byRecoveryOrder({ spec: left }: VmRecord, { spec: right }: VmRecord): number {
  return left.startOrder - right.startOrder || right.memoryMiB - left.memoryMiB || (left.name < right.name ? -1 : 1)
}

/** The cluster with the machine placed there. */
export function moveVm(cluster: ClusterState, vm: VmRecord, hostId: HostId): ClusterState {
  const host = cluster.hosts.get(hostId)
  const before = vm.placement ?? {
    epoch: 0,
    start: 'boot' as const,
    leased: vm.spec.ha,
    term: 0,
    placedAt: vm.spec.createdAt,
    proof: null,
    lastRecovery: null,
  }
  if (host === undefined || host.status.session === null) return cluster
  const placement = {
    ...before,
    hostId,
    epoch: before.epoch + 1,
    session: host.status.session,
    bootId: host.status.bootId ?? '',
    reason: 'as it would be',
  }
  return { ...cluster, vms: new Map(cluster.vms).set(vm.spec.id, { ...vm, placement, migration: undefined }) }
}

function withoutHosts(cluster: ClusterState, lost: readonly HostId[]): Map<HostId, HostRecord> {
  const hosts = new Map(cluster.hosts)
  for (const hostId of lost) {
    const host = hosts.get(hostId)
    if (host !== undefined) hosts.set(hostId, { ...host, status: { ...host.status, state: 'fenced' } })
  }
  return hosts
}

function isOn({ spec, placement }: VmRecord, lost: readonly HostId[]): boolean {
  if (placement === undefined || !lost.includes(placement.hostId)) return false
  return spec.desired !== 'stopped' && spec.lifecycle !== 'deleting'
}

function whyItStaysDown({ spec, placement }: VmRecord, { hosts }: ClusterState): string | undefined {
  const name = (placement === undefined ? undefined : hosts.get(placement.hostId)?.spec.name) ?? 'its host'
  if (spec.boundToHostId !== null) return `its disk is local to ${name}: it starts there when the host is back`
  if (!spec.ha) return `it has no HA: it starts again when ${name} is back, or after dialtone host confirm-dead ${name}`
  return undefined
}
