/** Whether a machine may be moved while it runs, and to where: a host, or why not. Pure. */
import { type ClusterState, isAnswering, type VmRecord } from '../model/cluster-state.ts'
import type { ErrorCode } from '../model/dialtone-error.ts'
import { refuseMove, refuseRootCopy } from '../model/guest.ts'
import type { HostId } from '../model/ids.ts'
import { describeOperation } from '../model/snapshots/vm-operation.ts'
import { vmActionTable } from '../model/vm.ts'
import { describeVerdicts, type HostVerdict, placeVm } from './place-vm.ts'
import { type CopyWish, type PlannedCopy, planDiskCopies } from './placement/plan-disk-copies.ts'

export type MigrationVerdict =
  | {
      readonly kind: 'admitted'
      readonly destinationHostId: HostId
      readonly reason: string
      readonly copies: readonly PlannedCopy[]
    }
  | {
      readonly kind: 'refused'
      readonly code: ErrorCode
      readonly message: string
      readonly verdicts?: readonly HostVerdict[]
    }

export type MigrationWish = CopyWish & {
  /** Only there; undefined: wherever it fits best but where it is. */
  readonly hostId?: HostId | undefined
}

/** Disks that only its host has go with it. */
export function admitMigration(cluster: ClusterState, vm: VmRecord, wish: MigrationWish = {}): MigrationVerdict {
  const { hostId: wished } = wish
  const { spec, placement, status, migration, operation } = vm
  const refused = (code: ErrorCode, message: string) => ({ kind: 'refused', code, message }) as const
  if (migration !== undefined) {
    const to = cluster.hosts.get(migration.destinationHostId)?.spec.name ?? migration.destinationHostId
    return refused('in-use', `${spec.name} is being moved to ${to} already`)
  }
  if (operation !== undefined)
    return refused('in-use', `${spec.name} is not moved at the moment: ${describeOperation(operation)}`)
  const busy = spec.disks.find(({ volumeId }) => (cluster.volumes.get(volumeId)?.move ?? null) !== null)
  if (busy !== undefined) return refused('in-use', `a volume of ${spec.name} is being moved to another storage`)
  const state = spec.lifecycle === 'live' ? (status?.state ?? 'stopped') : spec.lifecycle
  if (!vmActionTable.migrate.includes(state) || placement === undefined || spec.desired !== 'running')
    return refused(
      'wrong-state',
      `${spec.name} is ${state}: only a running machine moves; start a stopped one elsewhere`,
    )
  const source = cluster.hosts.get(placement.hostId)
  if (source === undefined || !isAnswering(source))
    return refused(
      'host-unreachable',
      `${source?.spec.name ?? placement.hostId}, where ${spec.name} is, does not answer`,
    )
  const fixed = refuseMove(spec.guest)
  if (fixed !== undefined)
    return refused('wrong-state', `${spec.name} can't move while it runs: ${fixed}; stop it, and start it elsewhere`)
  if (wished === placement.hostId) return refused('wrong-state', `${spec.name} runs on ${source.spec.name} already`)
  const wishes = { excluded: new Map([[placement.hostId, 'it runs there']]), required: wished, bringsDisks: wish }
  const choice = placeVm(cluster, spec, wishes)
  const destination = choice.kind === 'placed' ? cluster.hosts.get(choice.hostId) : undefined
  const disks = destination === undefined ? undefined : planDiskCopies(destination, spec, { cluster, wish })
  const goesRootAlong =
    disks?.kind === 'planned' && disks.copies.some(({ volumeId }) => volumeId === spec.disks[0]?.volumeId)
  const bound = goesRootAlong ? refuseRootCopy(spec.guest) : undefined
  if (bound !== undefined) return refused('wrong-state', `${spec.name} can't move while it runs: ${bound}`)
  if (choice.kind === 'placed' && disks?.kind === 'planned')
    return { kind: 'admitted', destinationHostId: choice.hostId, reason: choice.reason, copies: disks.copies }
  const asked = choice.verdicts.filter(({ hostId }) => wished === undefined || hostId === wished)
  const message = `${spec.name} can't be moved: ${describeVerdicts(asked)}`
  return { ...refused('no-host-fits', message), verdicts: choice.verdicts }
}
