/** The first step of a move: where to, and by what right. From its record on both hosts own the machine. */
import { admitMigration, type MigrationVerdict } from '../../control/admit-migration.ts'
import { whyMoveWaits } from '../../control/move-room.ts'
import { nextEpoch } from '../../control/next-epoch.ts'
import { refuseByReserve } from '../../control/placement/judge-reserve.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import type { VmMigration } from '../../model/migration/vm-migration.ts'
import type { Store } from '../../store/store.ts'
import type { HostTable } from '../hosts/host-table.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import type { StepContext } from '../tasks/saga.ts'
import { hostName } from './migration-facts.ts'
import type { MigrationJournal } from './migration-journal.ts'
import { copiesToMake, refuseUnclear, wishOf } from './mirror-disks.ts'

export type OpenOptions = {
  readonly table: HostTable
  startsOnHold(): string | undefined
  epochFloor(): number
}

const lookAgainMs = 200

/**
 * Writes the record, once there is room for one more move on both hosts. One at a time is admitted: neither the number of moves nor the
 * reserve is judged by a state that another one changes meanwhile.
 */
export async function openMigration(
  leader: Leader,
  options: OpenOptions,
  context: StepContext<MigrationJournal>,
): Promise<Partial<MigrationJournal>> {
  const { journal, task, signal, progress } = context
  for (;;) {
    signal.throwIfAborted()
    const state = leader.index.state()
    const vm = state.vms.get(journal.vmId)
    if (vm === undefined) throw new DialtoneError('not-found', 'the VM was deleted')
    const beganAtMs = leader.clock.wallTime().getTime()
    if (vm.migration?.taskId === task.id) return { beganAtMs }
    const admitted = admit(state, vm, { journal, hold: options.startsOnHold() })
    const waits = whyMoveWaits(state, [vm.placement?.hostId ?? admitted.destinationHostId, admitted.destinationHostId])
    if (waits === undefined && (await write(leader, options, { context, vm, ...admitted }))) return { beganAtMs }
    if (waits !== undefined) progress(0, waits)
    await leader.clock.sleep(waits === undefined ? 2 : lookAgainMs, signal)
  }
}

/** Throws why it is not to be moved. */
function admit(
  state: ClusterState,
  vm: VmRecord,
  { journal, hold }: { readonly journal: MigrationJournal; readonly hold: string | undefined },
): Omit<Extract<MigrationVerdict, { readonly kind: 'admitted' }>, 'kind'> {
  if (hold !== undefined) throw new DialtoneError('wrong-state', hold)
  const verdict = admitMigration(state, vm, wishOf(journal))
  if (verdict.kind === 'refused') throw new DialtoneError(verdict.code, verdict.message, { detail: verdict.verdicts })
  refuseUnclear(state, verdict.copies)
  const { destinationHostId, reason, copies } = verdict
  const broken = journal.isForced === true ? undefined : refuseByReserve(state, { vm, hostId: destinationHostId })
  if (broken !== undefined)
    throw new DialtoneError(
      'reserve-broken',
      `${vm.spec.name} can't be moved: ${broken}. Move it all the same with --force`,
    )
  return { destinationHostId, reason, copies }
}

/** False when something of what was decided from has changed meanwhile. */
async function write(
  leader: Leader,
  { table, epochFloor }: OpenOptions,
  {
    context: { journal, task },
    vm,
    destinationHostId,
    reason,
    copies,
  }: ReturnType<typeof admit> & {
    readonly context: StepContext<MigrationJournal>
    readonly vm: VmRecord
  },
): Promise<boolean> {
  const { placement, spec } = vm
  const session = leader.index.state().hosts.get(destinationHostId)?.status.session
  if (placement === undefined || session === null || session === undefined)
    throw new DialtoneError('conflict', `${spec.name} was changed at the same time`)
  // Above what the destination has let go of: there an earlier attempt's epoch is void.
  const known = table.heartbeat(destinationHostId)?.highestKnownEpoch ?? 0
  const migration: VmMigration = {
    taskId: task.id,
    sourceHostId: placement.hostId,
    sourceEpoch: placement.epoch,
    destinationHostId,
    epoch: Math.max(nextEpoch(vm), known + 1, epochFloor()),
    session,
    phase: 'moving',
    disks: [...copiesToMake(leader.index.state(), copies)],
    startedAt: leader.clock.wallTime().toISOString(),
    reason: journal.reason,
  }
  const event = leader.events.write({
    kind: 'vm.migration-began',
    subject: spec.name,
    message: `from ${hostName(leader, placement.hostId)} to ${hostName(leader, destinationHostId)}: ${journal.reason}; ${reason}`,
    vmId: spec.id,
    hostId: destinationHostId,
    user: task.user,
  })
  const result = await commitAndSee(leader, {
    conditions: conditionsOf(leader, spec.id, destinationHostId),
    writes: [put(keys.vmMigration(spec.id), migration), put(keys.admission, spec.id), event],
  })
  return result.kind === 'committed'
}

function conditionsOf(
  leader: Leader,
  vmId: VmId,
  destinationHostId: HostId,
): Parameters<Store['commit']>[0]['conditions'] {
  const ofVm = [keys.vm(vmId), keys.vmPlacement(vmId), keys.vmMigration(vmId), keys.vmOperation(vmId)]
  const read = [...ofVm, keys.hostStatus(destinationHostId)]
  return [...read, keys.admission].map((key) => unchanged(leader, key))
}
