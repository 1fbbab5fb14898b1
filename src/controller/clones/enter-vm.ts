/** Enters a new VM: what it is and what it claims in one transaction, together with the task that makes it. */
import { randomUUID } from 'node:crypto'
import { admitVm, type VmWish } from '../../control/admit-vm.ts'
import { commitAndSee, type Leader, oneAdmission, put, unchanged } from '../../engine/leader.ts'
import { addressClaimOf, enterNetworks } from '../../engine/networks/card-claims.ts'
import { keys } from '../../engine/state/keys.ts'
import type { TaskRunner } from '../../engine/tasks/task-runner.ts'
import type { DiskOrigin } from '../../engine/vms/clone-disks.ts'
import type { Task } from '../../model/cluster.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { makeId, vmIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { nicsOf } from '../../model/network.ts'
import type { VolumeSpec } from '../../model/storage.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { Transaction } from '../../store/store.ts'

const attempts = 20

/** Who wants it; `disksFrom`: what its disks begin with, where that isn't its template. */
type EnteredBy = { readonly user: string; readonly disksFrom?: DiskOrigin }

/** Throws the refusal of the admission, or `conflict` when others enter machines at the same time without end. */
export async function enterVm(
  { leader, tasks }: { readonly leader: Leader; readonly tasks: TaskRunner },
  wish: VmWish,
  by: string | EnteredBy,
): Promise<{ readonly spec: VmSpec; readonly task: Task }> {
  const { user, disksFrom } = typeof by === 'string' ? { user: by } : by
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const admission = admitVm(leader.index.state(), wish, {
      vmId: makeId('vm', vmIdSchema, leader.randomBytes(8)),
      volumeIds: Array.from({ length: wish.disks.length + 1 }, () =>
        makeId('vol', volumeIdSchema, leader.randomBytes(8)),
      ),
      generationId: randomUUID(),
      createdAt: leader.clock.wallTime().toISOString(),
    })
    if (admission.kind === 'refused')
      throw new DialtoneError(admission.code, admission.message, { detail: admission.detail })
    const { spec, hostId } = admission
    const turn = oneAdmission(leader, spec.id)
    const { task, write } = tasks.prepare({
      kind: 'vm.create',
      subject: spec.name,
      user,
      vmId: spec.id,
      hostId,
      journal: { vmId: spec.id, hostId, start: wish.start, origin: disksFrom },
    })
    const claims = [
      keys.nameClaim('vm', spec.name),
      ...nicsOf(spec).map(addressClaimOf),
      keys.numberClaim('vm', spec.number),
    ]
    const used = usedImages(leader, spec)
    const entry = enterNetworks(leader, spec.id, nicsOf(spec))
    const result = await commitAndSee(leader, {
      conditions: [
        ...used.conditions,
        ...claims.map((key) => ({ key, modRevision: 0 })),
        ...entry.conditions,
        ...turn.conditions,
      ],
      writes: [
        ...entry.writes,
        ...used.writes,
        ...claims.map((key) => put(key, spec.id)),
        put(keys.vm(spec.id), spec),
        ...spec.disks.map((disk, index) =>
          put(keys.volume(disk.volumeId), volumeOf(spec, disk, baseOf(leader, { spec, index, disksFrom }))),
        ),
        write,
        ...turn.writes,
        leader.events.write({
          kind: 'vm.asked-for',
          subject: spec.name,
          message: `asked for by ${user}`,
          vmId: spec.id,
          user,
        }),
      ],
    })
    if (result.kind === 'conflict') continue
    tasks.begin(task.id)
    return { spec, task }
  }
  throw new DialtoneError('conflict', `${wish.name} could not be entered: others create VMs at the same time`)
}

/** Its template and the discs in its drives: whoever deletes one of them at the same time sees that it is in use now. */
function usedImages(leader: Leader, { templateId, cdroms }: VmSpec): Pick<Transaction, 'conditions' | 'writes'> {
  const { isos, templates } = leader.index.state()
  const discs = cdroms.flatMap((id) => (id === null ? [] : (isos.get(id) ?? [])))
  const template = templates.get(templateId)
  const key = keys.template(templateId)
  return {
    conditions: [unchanged(leader, key), ...discs.map(({ id }) => unchanged(leader, keys.iso(id)))],
    writes: [
      ...(template === undefined ? [] : [put(key, template)]),
      ...discs.map((disc) => put(keys.iso(disc.id), disc)),
    ],
  }
}

function volumeOf(spec: VmSpec, disk: VmSpec['disks'][number], baseVersion: string | null): VolumeSpec {
  const { volumeId: id, storageId, format, sizeMiB } = disk
  return { id, storageId, format, sizeMiB, baseVersion, vmId: spec.id, move: null, createdAt: spec.createdAt }
}

/** What lies under all layers of the disk. */
function baseOf(
  { index }: Leader,
  of: { readonly spec: VmSpec; readonly index: number; readonly disksFrom: DiskOrigin | undefined },
): string | null {
  const { spec, disksFrom } = of
  if (disksFrom === undefined) return of.index === 0 ? (spec.clonedFrom?.imageId ?? spec.templateVersion) : null
  const from = index.state().snapshots.get(disksFrom.snapshotId)?.disks[of.index]?.volumeId
  if (disksFrom.isFull || from === undefined) return null
  return index.state().volumes.get(from)?.baseVersion ?? null
}
