/** Makes a VM: what it is and what it claims (one transaction) → its disks → it becomes live → it runs. */
import { z } from 'zod'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { VmId } from '../../model/ids.ts'
import { hostIdSchema, vmIdSchema } from '../../model/ids.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import { cloneDisks, type DiskOrigin, diskOriginSchema } from './clone-disks.ts'
import { forgetVm } from './forget-vm.ts'
import { authorityOf, hostForStorage } from './host-for-storage.ts'
import { waitForVm } from './wait-for-vm.ts'

const journalSchema = z.object({
  vmId: vmIdSchema,
  /** The host that makes the disks: where it will run first, if it can. */
  hostId: hostIdSchema,
  start: z.boolean(),
  /** What its disks begin with; left out: with its template. */
  origin: diskOriginSchema.optional(),
})
type Journal = z.infer<typeof journalSchema>

export function createVmSaga(leader: Leader, agents: AgentPort): RunnableSaga {
  return defineSaga<Journal>({
    kind: 'vm.create',
    journalSchema,
    pointOfNoReturn: 'go-live',
    steps: [
      {
        name: 'make-disks',
        attempts: 6,
        message: 'makes the disks',
        timeoutMs: 4 * 3_600_000,
        run: (context) => makeDisks(leader, agents, context),
        undo: async ({ journal }) => {
          await deleteDisks(leader, agents, journal.vmId)
          await forgetVm(leader, journal.vmId)
        },
      },
      {
        name: 'go-live',
        isRepeated: true,
        message: 'enters it',
        timeoutMs: 30_000,
        run: ({ journal }) => goLive(leader, journal),
      },
      {
        name: 'start',
        message: 'starts it',
        timeoutMs: 120_000,
        run: async ({ journal, signal }) => {
          if (journal.start) await waitForVm(leader, journal.vmId, { signal, condition: isRunning })
        },
      },
    ],
  })
}

/** Running, or a sentence on why it will not be. A machine that merely waits for room keeps waiting. */
export function isRunning(
  vm: Parameters<Parameters<typeof waitForVm>[2]['condition']>[0],
): 'yes' | 'not-yet' | DialtoneError {
  if (vm === undefined) return new DialtoneError('not-found', 'the VM was deleted')
  if (vm.spec.desired === 'stopped')
    return new DialtoneError('cancelled', `${vm.spec.name} is wanted stopped meanwhile`)
  if (vm.status?.state === 'running' || vm.status?.state === 'paused') return 'yes'
  if (vm.status?.state === 'failed')
    return new DialtoneError('hypervisor-failed', `${vm.spec.name} failed to start: ${vm.status.detail}`)
  return 'not-yet'
}

async function makeDisks(
  leader: Leader,
  agents: AgentPort,
  { journal, progress, signal }: StepContext<Journal>,
): Promise<void> {
  const spec = specOf(leader, journal.vmId)
  const { origin } = journal
  if (origin !== undefined) return cloneDisks(leader, agents, { spec, origin, signal, progress })
  for (const [index, disk] of spec.disks.entries()) {
    signal.throwIfAborted()
    progress(index / spec.disks.length, `makes disk ${index + 1} of ${spec.disks.length}`)
    const host = hostForStorage(leader, disk.storageId, journal.hostId)
    await agents.createVolume(host.spec, {
      authority: authorityOf(leader, host),
      volumeId: disk.volumeId,
      storageId: disk.storageId,
      format: disk.format,
      sizeMiB: disk.sizeMiB,
      baseVersion: index === 0 ? (spec.clonedFrom?.imageId ?? spec.templateVersion) : null,
    })
  }
}

/** Deletes what there is; a volume that isn't there is fine. Throws while a storage can't be reached. */
export async function deleteDisks(leader: Leader, agents: AgentPort, vmId: VmId): Promise<void> {
  const spec = leader.index.state().vms.get(vmId)?.spec
  for (const disk of spec?.disks ?? []) {
    const host = hostForStorage(leader, disk.storageId, undefined)
    await agents.deleteVolume(host.spec, {
      authority: authorityOf(leader, host),
      volumeId: disk.volumeId,
      storageId: disk.storageId,
    })
  }
}

async function goLive(leader: Leader, journal: Journal): Promise<void> {
  const spec = specOf(leader, journal.vmId)
  if (spec.lifecycle === 'live') return
  const key = keys.vm(journal.vmId)
  const event = leader.events.write({
    kind: 'vm.created',
    subject: spec.name,
    message: madeFrom(leader, spec, journal.origin),
    vmId: spec.id,
  })
  const result = await commitAndSee(leader, {
    conditions: [unchanged(leader, key)],
    writes: [put(key, { ...spec, lifecycle: 'live' }), event],
  })
  if (result.kind === 'conflict')
    throw new DialtoneError('conflict', `${spec.name} was changed while it was being made`)
}

function madeFrom(leader: Leader, { templateVersion }: VmSpec, origin: DiskOrigin | undefined): string {
  if (origin === undefined) return `made from template ${templateVersion}`
  const name = leader.index.state().vms.get(origin.vmId)?.spec.name ?? origin.vmId
  return origin.isFull ? `a full clone of ${name}` : `a clone of ${name}, with which it shares layers`
}

function specOf(leader: Leader, vmId: VmId): VmSpec {
  const vm = leader.index.state().vms.get(vmId)
  if (vm === undefined) throw new DialtoneError('not-found', 'the VM was deleted')
  return vm.spec
}
