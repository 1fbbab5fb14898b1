/** Gives a VM one more disk: made on its storage, then the VM's in the store, and only then in the machine that runs. */
import { z } from 'zod'
import { refuseChange } from '../../control/growth/admit-disk.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { storageIdSchema, vmIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { diskFormatSchema } from '../../model/machine-order.ts'
import type { VolumeSpec } from '../../model/storage.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged, untilCommitted } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import { holdsOf, waitUntilFitted } from './fit-wait.ts'
import { authorityOf, hostForStorage } from './host-for-storage.ts'

const journalSchema = z.object({
  vmId: vmIdSchema,
  disk: z.object({
    volumeId: volumeIdSchema,
    storageId: storageIdSchema,
    format: diskFormatSchema,
    sizeMiB: z.number().int().min(1),
  }),
  /** False for one that the VM had before: it has been made, and what is on it stays. */
  isNew: z.boolean(),
  summary: z.string().optional(),
})
type Journal = z.infer<typeof journalSchema>

export function attachDiskSaga(leader: Leader, agents: AgentPort): RunnableSaga {
  return defineSaga<Journal>({
    kind: 'vm.attach-disk',
    journalSchema,
    pointOfNoReturn: 'enter',
    steps: [
      {
        name: 'make',
        attempts: 3,
        message: 'makes the disk',
        timeoutMs: 600_000,
        run: ({ journal }) => make(leader, agents, journal),
        undo: async ({ journal: { disk, isNew } }) => {
          if (!isNew) return
          const host = hostForStorage(leader, disk.storageId, undefined)
          await agents.deleteVolume(host.spec, { authority: authorityOf(leader, host), ...disk })
        },
      },
      {
        name: 'enter',
        isRepeated: true,
        message: 'enters it',
        timeoutMs: 30_000,
        run: (context) => enter(leader, context),
      },
      {
        name: 'plug',
        message: 'waits until the machine has it',
        timeoutMs: 60_000,
        run: async ({ journal: { vmId, disk }, signal }) => {
          const isMet = (vm: Parameters<typeof holdsOf>[0]) =>
            holdsOf(vm, ({ disks }) => disks.some(({ volumeId }) => volumeId === disk.volumeId))
          const { summary } = await waitUntilFitted(leader, vmId, { isMet, signal })
          return { summary }
        },
      },
    ],
  })
}

async function make(leader: Leader, agents: AgentPort, { vmId, disk, isNew }: Journal): Promise<void> {
  if (!isNew) return
  const vm = leader.index.state().vms.get(vmId)
  if (vm === undefined) throw new DialtoneError('not-found', 'the VM was deleted')
  const host = hostForStorage(leader, disk.storageId, vm.placement?.hostId)
  await agents.createVolume(host.spec, { authority: authorityOf(leader, host), ...disk, baseVersion: null })
}

async function enter(leader: Leader, { journal, task }: StepContext<Journal>): Promise<void> {
  const { vmId, disk } = journal
  await untilCommitted(task.subject, async () => {
    const state = leader.index.state()
    const vm = state.vms.get(vmId)
    if (vm === undefined) throw new DialtoneError('not-found', 'the VM was deleted')
    const { spec } = vm
    if (spec.disks.some(({ volumeId }) => volumeId === disk.volumeId)) return true
    const busy = refuseChange(state, vm)
    if (busy !== undefined) throw new DialtoneError(busy.code, busy.message)
    const createdAt = leader.clock.wallTime().toISOString()
    const { volumeId, storageId, format, sizeMiB } = disk
    const volume: VolumeSpec = {
      id: volumeId,
      storageId,
      format,
      sizeMiB,
      baseVersion: null,
      vmId,
      move: null,
      createdAt,
    }
    const message = `a disk of ${sizeMiB} MiB was added by ${task.user ?? 'nobody'}`
    const result = await commitAndSee(leader, {
      conditions: [keys.vm(vmId), keys.vmMigration(vmId), keys.vmOperation(vmId)].map((key) => unchanged(leader, key)),
      writes: [
        put(keys.vm(vmId), { ...spec, disks: [...spec.disks, disk] }),
        put(keys.volume(volumeId), volume),
        leader.events.write({ kind: 'vm.disk-added', subject: spec.name, message, vmId, user: task.user }),
      ],
    })
    return result.kind === 'committed' ? true : undefined
  })
}
