/** How each machine of a host would leave it, one after the other, or why it would not. Pure; asked again whenever something changed. */
import type { ClusterState, HostRecord, VmRecord } from '../../model/cluster-state.ts'
import type { HostId } from '../../model/ids.ts'
import type { MaintenancePlan, MaintenanceWish } from '../../model/maintenance.ts'
import { describeVerdicts, type HostVerdict, placeVm } from '../place-vm.ts'
import { isWanted } from '../placement/host-occupants.ts'
import { judgeReserve } from '../placement/judge-reserve.ts'
import { afterCopies, planDiskCopies } from '../placement/plan-disk-copies.ts'
import { byRecoveryOrder, moveVm } from '../placement/simulate-loss.ts'

export type MachineMove =
  | {
      readonly kind: 'migrate' | 'restart-elsewhere'
      readonly vm: VmRecord
      readonly toHostId: HostId
      readonly reason: string
    }
  | { readonly kind: 'stop' | 'leaves'; readonly vm: VmRecord; readonly reason: string }
  | {
      readonly kind: 'refused'
      readonly vm: VmRecord
      readonly reason: string
      readonly verdicts: readonly HostVerdict[]
    }

export type EvacuationWish = Pick<MaintenanceWish, 'stop' | 'restartElsewhere'> & {
  /** Why a machine can't be moved while it runs; undefined when it can. */
  obstacleToMigration(vm: VmRecord): string | undefined
}

/** What is to be done with each machine that is on the host. */
export function planEvacuation(
  present: ClusterState,
  hostId: HostId,
  wish: EvacuationWish,
): { readonly moves: readonly MachineMove[]; readonly cluster: ClusterState } {
  let cluster = inMaintenance(present, hostId)
  const moves: MachineMove[] = []
  const there = [...cluster.vms.values()].filter((vm) => vm.placement?.hostId === hostId && isWanted(vm))
  for (const vm of there.sort(byRecoveryOrder)) {
    const move = planMove(cluster, vm, wish)
    moves.push(move)
    if ('toHostId' in move) cluster = withDisks(moveVm(cluster, vm, move.toHostId), vm, move.toHostId)
    if (move.kind === 'stop') cluster = withoutVm(cluster, vm)
  }
  return { moves, cluster }
}

/** The same for people, with what the rest of the cloud could not do meanwhile. */
export function planMaintenance(present: ClusterState, hostId: HostId, wish: EvacuationWish): MaintenancePlan {
  const nameOf = (id: HostId) => present.hosts.get(id)?.spec.name ?? id
  const { moves, cluster } = planEvacuation(present, hostId, wish)
  const reserve = judgeReserve(cluster)
  const count = cluster.cluster.hostFailuresToTolerate
  return {
    hostName: nameOf(hostId),
    moves: moves.map((move) => ({
      vmName: move.vm.spec.name,
      way: move.kind,
      toHostName: 'toHostId' in move ? nameOf(move.toHostId) : null,
      reason: move.reason,
      refusals: 'verdicts' in move ? move.verdicts.map(({ hostName, reason }) => ({ hostName, reason })) : [],
    })),
    warnings:
      reserve.kind === 'kept'
        ? []
        : [
            `meanwhile the reserve for the failure of ${count} host${count === 1 ? '' : 's'} is not whole: ${reserve.reason}`,
          ],
  }
}

/** States in which a process is there that has to go. */
const heldStates = ['running', 'paused', 'frozen', 'starting', 'restarting', 'unknown']

/** States that it is in for a moment only. */
const passingStates = ['starting', 'restarting', 'frozen']

function planMove(cluster: ClusterState, vm: VmRecord, wish: EvacuationWish): MachineMove {
  const { spec, status } = vm
  if (spec.desired === 'stopped') return { kind: 'leaves', vm, reason: 'it is being stopped' }
  if (spec.lifecycle !== 'live') return { kind: 'leaves', vm, reason: `a task works on it: it is ${spec.lifecycle}` }
  if (spec.boundToHostId !== null) return planBoundMove(cluster, vm, wish)
  const choice = placeVm(cluster, spec)
  if (choice.kind === 'no-host-fits') {
    if (wish.stop)
      return { kind: 'stop', vm, reason: 'no other host takes it: it starts again when the maintenance ends' }
    const others = choice.verdicts.filter(({ hostId }) => hostId !== vm.placement?.hostId)
    return { kind: 'refused', vm, reason: `no other host takes it: ${describeVerdicts(others)}`, verdicts: others }
  }
  const { hostId: toHostId, reason } = choice
  if (status !== undefined && !heldStates.includes(status.state))
    return { kind: 'leaves', vm, reason: `it is ${status.state}, and will be placed on another host` }
  if (status !== undefined && passingStates.includes(status.state))
    return { kind: 'leaves', vm, reason: `it is ${status.state}, and is moved when it runs` }
  const obstacle = wish.obstacleToMigration(vm)
  if (obstacle === undefined) return { kind: 'migrate', vm, toHostId, reason }
  if (wish.restartElsewhere) return { kind: 'restart-elsewhere', vm, toHostId, reason: `${obstacle}; ${reason}` }
  if (wish.stop) return { kind: 'stop', vm, reason: `${obstacle}: it starts again when the maintenance ends` }
  const next =
    'shut such machines down and start them on other hosts with --restart-elsewhere, or stop them with --stop'
  return { kind: 'refused', vm, reason: `it can't be moved while it runs: ${obstacle}: ${next}`, verdicts: [] }
}

/** Its disks are local to this host: it leaves only while it runs, and they go with it. */
function planBoundMove(cluster: ClusterState, vm: VmRecord, wish: EvacuationWish): MachineMove {
  const { spec, status } = vm
  if (status !== undefined && passingStates.includes(status.state))
    return { kind: 'leaves', vm, reason: `it is ${status.state}, and is moved with its disks when it runs` }
  const choice = placeVm(cluster, spec, { bringsDisks: {} })
  const obstacle = wish.obstacleToMigration(vm)
  if (choice.kind === 'placed' && obstacle === undefined)
    return { kind: 'migrate', vm, toHostId: choice.hostId, reason: `its disks go with it; ${choice.reason}` }
  const others = choice.verdicts.filter(({ hostId }) => hostId !== vm.placement?.hostId)
  const why = obstacle ?? `no other host takes it with its disks: ${describeVerdicts(others)}`
  const reason = `its disk is local to this host, and ${obstacle === undefined ? '' : 'it can’t be moved while it runs: '}${why}`
  if (wish.stop) return { kind: 'stop', vm, reason: `${reason}: it starts again when the maintenance ends` }
  const next = `stop it with dialtone vm stop ${spec.name}, or all such machines with --stop`
  return { kind: 'refused', vm, reason: `${reason}: ${next}`, verdicts: obstacle === undefined ? others : [] }
}

function inMaintenance(cluster: ClusterState, hostId: HostId): ClusterState {
  const host = cluster.hosts.get(hostId)
  if (host === undefined || host.spec.maintenance !== null) return cluster
  const maintenance = { since: cluster.cluster.createdAt, user: '', stoppedVmIds: [] }
  const empty: HostRecord = { ...host, spec: { ...host.spec, maintenance } }
  return { ...cluster, hosts: new Map(cluster.hosts).set(hostId, empty) }
}

/** What it takes with it takes room there. */
function withDisks(cluster: ClusterState, { spec }: VmRecord, hostId: HostId): ClusterState {
  const [host, vm] = [cluster.hosts.get(hostId), cluster.vms.get(spec.id)]
  const plan = host === undefined ? undefined : planDiskCopies(host, spec, { cluster })
  return vm === undefined || plan?.kind !== 'planned' ? cluster : afterCopies(cluster, vm, plan.copies)
}

function withoutVm(cluster: ClusterState, { spec }: VmRecord): ClusterState {
  const vms = new Map(cluster.vms)
  vms.delete(spec.id)
  return { ...cluster, vms }
}
