/** Every decision that would fall now, with its reason, by the functions that the engine decides with. Nothing is carried out. */
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { HostId } from '../../model/ids.ts'
import type { Plan, VmPlan } from '../../model/plan.ts'
import { decideStandby } from '../decide-standby.ts'
import { decideVm } from '../decide-vm.ts'
import { placeVm } from '../place-vm.ts'
import { judgeReserve } from '../placement/judge-reserve.ts'
import { brokenRules } from '../placement/judge-rules.ts'
import type { VmDecision, VmQuestion } from '../vm-decision.ts'
import type { Planned } from './dump-cluster.ts'
import { planHostLoss } from './plan-host-loss.ts'

export function planCluster(planned: Planned, { ifHostDies }: { readonly ifHostDies?: HostId } = {}): Plan {
  const { cluster, questions, takenAt, revision } = planned
  const vms = [...cluster.vms.values()].sort((left, right) => left.spec.name.localeCompare(right.spec.name))
  return {
    takenAt,
    revision,
    reserve: describeReserve(cluster),
    vms: vms.flatMap((vm) => {
      const question = questions.get(vm.spec.id)
      return question === undefined ? [] : [planVm(cluster, vm, question)]
    }),
    ifHostDies: ifHostDies === undefined ? null : planHostLoss(planned, ifHostDies),
  }
}

function planVm(cluster: ClusterState, vm: VmRecord, question: VmQuestion): VmPlan {
  const nameOf = (hostId: HostId | undefined) =>
    hostId === undefined ? null : (cluster.hosts.get(hostId)?.spec.name ?? hostId)
  const decision = decideVm(cluster, vm, question)
  const present = vm.placement?.hostId
  const { verdicts } = placeVm(cluster, vm.spec, { preferred: present })
  const refusals = verdicts.filter(({ fits, hostId }) => !fits && hostId !== present)
  const isStopped = vm.spec.desired === 'stopped'
  return {
    vmName: vm.spec.name,
    hostName: nameOf(present),
    state: vm.spec.lifecycle === 'live' ? (vm.status?.state ?? 'stopped') : vm.spec.lifecycle,
    decision: decision.kind,
    toHostName: 'hostId' in decision ? nameOf(decision.hostId) : null,
    reason: reasonOf(decision, vm),
    refusals: isStopped ? [] : refusals.map(({ hostName, reason }) => ({ hostName, reason })),
    brokenRules: isStopped ? [] : [...brokenRules(vm, cluster)],
    standby: describeStandby(cluster, vm),
  }
}

function reasonOf(decision: VmDecision, { spec, placement }: VmRecord): string {
  switch (decision.kind) {
    case 'settled':
      if (spec.lifecycle !== 'live') return `a task works on it: it is ${spec.lifecycle}`
      return placement === undefined || spec.desired === 'stopped' ? 'it is to be stopped' : placement.reason
    case 'wait':
    case 'place':
    case 'release':
    case 'adopt':
    case 'settle-rebuilt':
    case 'accept-stop':
      return decision.reason
    case 'start':
      return `it is placed there under epoch ${decision.epoch}, and the order was not given yet`
    case 'stop':
      return decision.mode === 'shutdown' ? 'its owner wants it stopped' : 'its owner wants its power cut'
    case 'change':
      return `its owner wants it ${decision.change === 'pause' ? 'paused' : 'running'}`
    case 'configure':
      return 'its owner has changed how it recovers'
  }
}

function describeStandby(cluster: ClusterState, vm: VmRecord): string {
  if (vm.spec.recovery.mode === 'boot') return ''
  const decision = decideStandby(cluster, vm)
  const nameOf = (hostId: HostId) => cluster.hosts.get(hostId)?.spec.name ?? hostId
  switch (decision.kind) {
    case 'choose':
      return `would become ${nameOf(decision.hostId)}: ${decision.reason}`
    case 'dismiss':
      return `would be none any more: ${decision.reason}`
    case 'settled':
      return vm.standby === undefined ? 'none' : `${nameOf(vm.standby.hostId)}: ${vm.standby.reason}`
  }
}

function describeReserve(cluster: ClusterState): string {
  const { hostFailuresToTolerate: count } = cluster.cluster
  if (count === 0) return 'no reserve for failing hosts is kept'
  const verdict = judgeReserve(cluster)
  const many = `${count} host${count === 1 ? '' : 's'}`
  return verdict.kind === 'kept'
    ? `${many} may fail, and every machine with HA finds a place`
    : `the reserve for the failure of ${many} is broken: ${verdict.reason}`
}
