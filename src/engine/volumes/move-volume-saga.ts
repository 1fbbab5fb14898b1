/**
 * Moves a volume to another storage, of a machine that runs or is stopped. Until the store has changed what the volume is, it is what lies
 * at its old storage, and everything is undone; after that it is what lies at the new one, and everything is finished.
 */
import { z } from 'zod'
import { admitVolumeMove } from '../../control/admit-volume-move.ts'
import { boundHostOf, type ClusterState, type VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { imageIdSchema, storageIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { withCopies } from '../../model/migration/disk-copy.ts'
import type { StorageSpec, VolumeSpec } from '../../model/storage.ts'
import type { VolumeMove } from '../../model/volume-move.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { orderTarget } from '../order-target.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import { discard, untilClear } from './discard-volume.ts'
import { completeVolumeMove, goBackWithVolume, volumeHead } from './end-volume-move.ts'

const journalSchema = z.object({
  volumeId: volumeIdSchema,
  toStorageId: storageIdSchema,
  summary: z.string().optional(),
})
type Journal = z.infer<typeof journalSchema>
type Tools = { readonly leader: Leader; readonly agents: AgentPort }

const lookAgainMs = 250
const clearWithinMs = 10_000

export function moveVolumeSaga(leader: Leader, agents: AgentPort): RunnableSaga {
  const tools = { leader, agents }
  return defineSaga<Journal>({
    kind: 'volume.move',
    journalSchema,
    pointOfNoReturn: 'complete',
    steps: [
      {
        name: 'open',
        attempts: 4,
        message: 'chooses who copies it',
        timeoutMs: 30_000,
        run: async (context) => {
          const { volumeId, toStorageId: storageId } = context.journal
          const clearing = { signal: context.signal, withinMs: clearWithinMs }
          await untilClear(leader, { volumeId, storageId }, clearing)
          await open(leader, context)
        },
        undo: ({ task, journal, signal }) =>
          goBackWithVolume(tools, { volumeId: journal.volumeId, taskId: task.id, signal }),
      },
      {
        name: 'make-disk',
        message: 'makes the disk there',
        timeoutMs: 600_000,
        run: ({ journal }) => makeCopy(tools, journal),
      },
      {
        name: 'copy',
        attempts: 8,
        message: 'copies it',
        timeoutMs: 24 * 3_600_000,
        run: (context) => copy(tools, context),
      },
      {
        // Held, switched in the store, and gone on with in one step: its machine stands still from the first to the last.
        name: 'switch',
        message: 'changes over to it',
        timeoutMs: 120_000,
        run: (context) => switchOver(tools, context),
      },
      {
        name: 'complete',
        isRepeated: true,
        message: 'goes on with it',
        timeoutMs: 600_000,
        run: async ({ journal: { volumeId }, signal, task }) =>
          summed(await completeVolumeMove(tools, { volumeId, signal, user: task.user })),
      },
    ],
  })
}

async function open(leader: Leader, { journal, task }: StepContext<Journal>): Promise<void> {
  const { volumeId, toStorageId } = journal
  const state = leader.index.state()
  const { volume, vm, to } = findAll(state, journal)
  if (volume.move?.taskId === task.id) return
  const conditions = [
    keys.volume(volumeId),
    keys.vm(vm.spec.id),
    keys.vmPlacement(vm.spec.id),
    keys.vmMigration(vm.spec.id),
    keys.vmOperation(vm.spec.id),
  ]
  const verdict = admitVolumeMove(state, { vm, volume, to })
  if (verdict.kind === 'refused') throw new DialtoneError(verdict.code, verdict.message)
  if (state.discards.has(keys.discard(toStorageId, volumeId)))
    throw new DialtoneError('conflict', `what an earlier move left on ${to.name} is just being deleted`)
  const move: VolumeMove = {
    taskId: task.id,
    fromStorageId: volume.storageId,
    toStorageId,
    hostId: verdict.hostId,
    epoch: verdict.epoch,
    baseVersion: imageIdSchema.safeParse(volume.baseVersion).success ? null : volume.baseVersion,
    phase: 'copying',
    startedAt: leader.clock.wallTime().toISOString(),
  }
  const from = state.storages.get(volume.storageId)?.name ?? volume.storageId
  const how = verdict.epoch === null ? 'while its machine is stopped' : 'while its machine runs'
  const event = leader.events.write({
    kind: 'volume.move-began',
    subject: vm.spec.name,
    message: `${volumeId} from ${from} to ${to.name}, ${how}`,
    vmId: vm.spec.id,
    hostId: verdict.hostId,
    user: task.user,
  })
  const result = await commitAndSee(leader, {
    conditions: conditions.map((key) => unchanged(leader, key)),
    writes: [put(keys.volume(volumeId), { ...volume, move }), event],
  })
  if (result.kind === 'conflict') throw new DialtoneError('conflict', `${vm.spec.name} was changed at the same time`)
}

/** Whatever lies there of an earlier time goes first: nothing of it may shine through. */
async function makeCopy({ leader, agents }: Tools, journal: Journal): Promise<void> {
  const { volume, move, vm } = requireMoving(leader, journal)
  const disk = vm.spec.disks.find(({ volumeId }) => volumeId === volume.id)
  const target = orderTarget(leader, move.hostId)
  if (disk === undefined || target === undefined)
    throw new DialtoneError('host-unreachable', 'its host has not reported')
  const place = { authority: target.authority, volumeId: volume.id, storageId: move.toStorageId }
  await agents.deleteVolume(target.host, place)
  const { format, sizeMiB } = disk
  await agents.createVolume(target.host, { ...place, format, sizeMiB, baseVersion: move.baseVersion })
}

async function copy({ leader, agents }: Tools, { journal, signal, progress }: StepContext<Journal>): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const { volume, move, vm } = requireMoving(leader, journal)
    const { host, authority } = volumeHead(leader, move)
    const isOnSameBase = volume.baseVersion === move.baseVersion
    const { toStorageId, fromStorageId, epoch } = move
    if (epoch === null) {
      const disk = vm.spec.disks.find(({ volumeId }) => volumeId === volume.id)
      const what = { volumeId: volume.id, format: disk?.format ?? volume.format, number: vm.spec.number }
      return agents.copyVolume(host, { authority, ...what, fromStorageId, toStorageId, isOnSameBase })
    }
    const head = { vmId: vm.spec.id, authority, epoch, volumeId: volume.id, toStorageId }
    const mirror = await agents.mirrorVolume(host, { ...head, isOnSameBase })
    if (mirror.isReady) return
    const [copiedMiB, totalMiB] = [mirror.copiedBytes, mirror.totalBytes].map((bytes) => Math.round(bytes / 2 ** 20))
    progress(mirror.copiedBytes / Math.max(1, mirror.totalBytes), `${copiedMiB} of ${totalMiB} MiB copied`)
    await leader.clock.sleep(lookAgainMs, signal)
  }
}

async function switchOver(
  { leader, agents }: Tools,
  { journal, signal, task }: StepContext<Journal>,
): Promise<Partial<Journal>> {
  const { volumeId } = journal
  if (leader.index.state().volumes.get(volumeId)?.move?.phase === 'switched') return {}
  const { move, vm } = requireMoving(leader, journal)
  if (move.epoch !== null) {
    const { host, authority } = volumeHead(leader, move)
    const head = { vmId: vm.spec.id, authority, epoch: move.epoch }
    await agents.holdVolume(host, { ...head, volumeId, toStorageId: move.toStorageId })
  }
  for (let attempt = 0; attempt < 20; attempt += 1) {
    signal.throwIfAborted()
    const { vm: present, volume } = requireMoving(leader, journal)
    const read = [keys.volume(volumeId), keys.vm(present.spec.id), keys.vmPlacement(present.spec.id)]
    const conditions = read.map((key) => unchanged(leader, key))
    const { storages } = leader.index.state()
    const disks = withCopies(present.spec.disks, [{ volumeId, toStorageId: move.toStorageId }])
    const spec = { ...present.spec, disks, boundToHostId: boundHostOf(disks, storages) }
    const { toStorageId: storageId, baseVersion, fromStorageId } = move
    const result = await commitAndSee(leader, {
      conditions,
      writes: [
        put(keys.volume(volumeId), { ...volume, storageId, baseVersion, move: { ...move, phase: 'switched' } }),
        put(keys.vm(present.spec.id), spec),
        discard(leader, { volumeId, storageId: fromStorageId }, `it was moved to ${storages.get(storageId)?.name}`),
      ],
    })
    // From here on there is only forward, whoever cancels.
    if (result.kind === 'committed')
      return summed(await completeVolumeMove({ leader, agents }, { volumeId, signal: leader.signal, user: task.user }))
    await leader.clock.sleep(2, signal)
  }
  throw new DialtoneError('conflict', 'its machine was changed again and again while its disk was to change')
}

function summed(summary: string | undefined): Partial<Journal> {
  return summary === undefined ? {} : { summary }
}

type All = { readonly volume: VolumeSpec; readonly vm: VmRecord; readonly to: StorageSpec }

function findAll({ volumes, vms, storages }: ClusterState, { volumeId, toStorageId }: Journal): All {
  const volume = volumes.get(volumeId)
  const vm = volume === undefined ? undefined : vms.get(volume.vmId)
  const to = storages.get(toStorageId)
  if (volume === undefined || vm === undefined || to === undefined)
    throw new DialtoneError('not-found', 'the volume, its VM or the storage is gone')
  return { volume, vm, to }
}

/** Throws why it is not to be moved any more. Before the change only. */
function requireMoving(leader: Leader, journal: Journal): All & { readonly move: VolumeMove } {
  const found = findAll(leader.index.state(), journal)
  const { volume, vm } = found
  const { move } = volume
  if (move === null) throw new DialtoneError('not-found', `${volume.id} is not being moved any more`)
  const { spec, placement } = vm
  if (spec.lifecycle !== 'live') throw new DialtoneError('cancelled', `${spec.name} is being deleted`)
  if (move.epoch === null) return { ...found, move }
  if (spec.desired === 'stopped') throw new DialtoneError('cancelled', `${spec.name} is to be stopped`)
  if (placement?.hostId !== move.hostId || placement.epoch !== move.epoch)
    throw new DialtoneError('cancelled', `${spec.name} was started anew meanwhile`)
  return { ...found, move }
}
