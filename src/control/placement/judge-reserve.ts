/**
 * Whether every machine with HA would find a place if any so many hosts died at once. Asked before anything that takes room; the answer
 * is tried out, host by host, with the function that recovers, so that it holds for rules, storages and sizes as well as for sums.
 */
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { HostId } from '../../model/ids.ts'
import { describeVerdicts, placeVm } from '../place-vm.ts'
import { type LossOutcome, moveVm, simulateLoss } from './simulate-loss.ts'

export type ReserveVerdict =
  | { readonly kind: 'kept' }
  | { readonly kind: 'broken'; readonly loss: LossOutcome; readonly reason: string }

/** The loss of the fewest hosts that would leave a machine without a place, if there is one. */
export function judgeReserve(present: ClusterState): ReserveVerdict {
  const cluster = withExpected(present)
  const mayFail = [...cluster.hosts.values()]
    .filter(({ status }) => status.state !== 'fenced' && status.state !== 'offline')
    .map(({ spec }) => spec.id)
  const most = Math.min(cluster.cluster.hostFailuresToTolerate, mayFail.length)
  for (let count = 1; count <= most; count += 1) {
    for (const lost of combinationsOf(mayFail, count)) {
      const loss = simulateLoss(cluster, lost)
      if (loss.stranded.length > 0) return { kind: 'broken', loss, reason: describeLoss(cluster, loss) }
    }
  }
  return { kind: 'kept' }
}

/** Machines that are being made or wait for their first place take room soon: they are counted where they would go. */
function withExpected(present: ClusterState): ClusterState {
  let cluster = present
  for (const vm of present.vms.values()) {
    const { spec, placement } = vm
    if (placement !== undefined || spec.desired === 'stopped' || spec.lifecycle === 'deleting') continue
    const choice = placeVm(cluster, spec)
    if (choice.kind === 'placed') cluster = moveVm(cluster, vm, choice.hostId)
  }
  return cluster
}

/** Why this machine must not be started on, or moved to, this host; undefined when the reserve stays whole. */
export function refuseByReserve(
  cluster: ClusterState,
  { vm, hostId }: { readonly vm: VmRecord; readonly hostId: HostId },
): string | undefined {
  const { hostFailuresToTolerate } = cluster.cluster
  if (hostFailuresToTolerate === 0) return undefined
  const running: VmRecord = { ...vm, spec: { ...vm.spec, desired: 'running' } }
  const verdict = judgeReserve(moveVm(cluster, running, hostId))
  if (verdict.kind === 'kept') return undefined
  const hosts = `${hostFailuresToTolerate} host${hostFailuresToTolerate === 1 ? '' : 's'}`
  const before = judgeReserve(cluster)
  const state = before.kind === 'broken' ? 'is not whole already' : 'would be broken'
  return `the reserve for the failure of ${hosts} ${state}: ${verdict.reason}`
}

function describeLoss({ hosts }: ClusterState, { lost, stranded }: LossOutcome): string {
  const names = lost.map((hostId) => hosts.get(hostId)?.spec.name ?? hostId).join(' and ')
  const victims = stranded.map(({ vm, verdicts }) => {
    const remaining = verdicts.filter(({ hostId }) => !lost.includes(hostId))
    return `${vm.spec.name} (${remaining.length === 0 ? 'no host would be left' : describeVerdicts(remaining)})`
  })
  return `if ${names} died, no host would take ${victims.join(', nor ')}`
}

/** All ways to take so many of them. */
function* combinationsOf<Item>(items: readonly Item[], count: number): Generator<readonly Item[]> {
  if (count === 0) yield []
  if (count === 0) return
  for (const [index, item] of items.entries()) {
    for (const rest of combinationsOf(items.slice(index + 1), count - 1)) yield [item, ...rest]
  }
}
