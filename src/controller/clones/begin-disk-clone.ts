/** A clone by disks over the API: what can't be made is refused at once, with the reason; a task does the rest. */
import { admitVm } from '../../control/admit-vm.ts'
import { wishForClone } from '../../control/clones/wish-for-clone.ts'
import { refuseClone, refuseMovedDisks, refuseSnapshot } from '../../control/snapshots/admit-snapshot.ts'
import { commitAndSee } from '../../engine/leader.ts'
import type { cloneRoutes } from '../../model/api/clone-routes.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { makeId, type NetworkId, snapshotIdSchema, vmIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { networksOf } from '../../model/network.ts'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findVm, viewOfTask } from '../handlers/api-context.ts'
import { findSnapshot } from '../handlers/find-snapshot.ts'
import { refuse } from '../handlers/refuse-snapshot.ts'
import { type CloneDisksJournal, cardOf } from './clone-disks-saga.ts'

type Body = Parameters<Handlers<typeof cloneRoutes>['cloneDisks']>[0]['body']

export async function beginDiskClone(
  context: ApiContext,
  reference: string,
  { body, caller }: { readonly body: Body; readonly caller: Caller },
) {
  const { leader, tasks } = context.engine
  const cluster = leader.index.state()
  const vm = findVm(context, reference)
  const named = body.snapshot === undefined ? undefined : findSnapshot(cluster, vm, body.snapshot)
  const journal: CloneDisksJournal = {
    vmId: vm.spec.id,
    name: body.name,
    snapshotId: named?.id ?? makeId('snap', snapshotIdSchema, leader.randomBytes(8)),
    isOwnSnapshot: named === undefined,
    isFull: body.full,
    start: body.start,
    networkId: body.network === undefined ? null : findNetwork(context, body.network),
    user: caller.name,
  }
  refuseUnfit(context, vm, { journal, named })
  const { task, write } = tasks.prepare({
    kind: 'vm.clone-disks',
    subject: vm.spec.name,
    user: caller.name,
    vmId: vm.spec.id,
    journal,
  })
  await commitAndSee(leader, { conditions: [], writes: [write] })
  tasks.begin(task.id)
  return { names: [body.name], task: viewOfTask(task) }
}

/** All that the task would find out only after it has taken a snapshot. */
function refuseUnfit(
  { engine: { leader } }: ApiContext,
  vm: VmRecord,
  { journal, named }: { readonly journal: CloneDisksJournal; readonly named: Snapshot | undefined },
): void {
  const cluster = leader.index.state()
  const name = `for-${journal.snapshotId}`
  refuse(named === undefined ? refuseSnapshot(cluster, vm, { name, kind: 'disk' }) : refuseClone(cluster, vm))
  refuse(named === undefined ? undefined : refuseMovedDisks(cluster, vm, named))
  const disks = vm.spec.disks.map((disk) => ({ ...disk, layerId: null }))
  const asNow = { disks, machine: { ...vm.spec } }
  const admission = admitVm(cluster, wishForClone(vm.spec, named ?? asNow, { ...journal, card: cardOf(journal) }), {
    vmId: makeId('vm', vmIdSchema, leader.randomBytes(8)),
    volumeIds: (named ?? vm.spec).disks.map(() => makeId('vol', volumeIdSchema, leader.randomBytes(8))),
    generationId: vm.spec.generationId,
    createdAt: leader.clock.wallTime().toISOString(),
  })
  if (admission.kind === 'refused')
    throw new DialtoneError(admission.code, admission.message, { detail: admission.detail })
}

function findNetwork({ engine }: ApiContext, reference: string): NetworkId {
  const found = networksOf(engine.leader.index.state()).find(({ id, name }) => name === reference || id === reference)
  if (found === undefined) throw new DialtoneError('not-found', `there is no network ${reference}`)
  return found.id
}
