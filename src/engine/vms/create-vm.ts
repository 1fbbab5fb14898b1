/** Makes a VM: what it is and what it claims (one transaction) → its disks → it becomes live → it runs. */
import { z } from 'zod'
import type { HostRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { StorageId, VmId } from '../../model/ids.ts'
import { hostIdSchema, vmIdSchema } from '../../model/ids.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import { forgetVm } from './forget-vm.ts'
import { waitForVm } from './wait-for-vm.ts'

const journalSchema = z.object({
  vmId: vmIdSchema,
  /** The host that makes the disks: where it will run first, if it can. */
  hostId: hostIdSchema,
  start: z.boolean(),
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
        timeoutMs: 600_000,
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
    message: `made from template ${spec.templateVersion}`,
    vmId: spec.id,
  })
  const result = await commitAndSee(leader, {
    conditions: [unchanged(leader, key)],
    writes: [put(key, { ...spec, lifecycle: 'live' }), event],
  })
  if (result.kind === 'conflict')
    throw new DialtoneError('conflict', `${spec.name} was changed while it was being made`)
}

/** A host that answers and has the storage; the wished one before others. */
export function hostForStorage(
  leader: Leader,
  storageId: StorageId,
  wished: HostRecord['spec']['id'] | undefined,
): HostRecord {
  const state = leader.index.state()
  const able = [...state.hosts.values()].filter(
    ({ status }) => status.state === 'online' && status.storageIds.includes(storageId),
  )
  const host = able.find(({ spec }) => spec.id === wished) ?? able[0]
  if (host !== undefined) return host
  const name = state.storages.get(storageId)?.name ?? storageId
  throw new DialtoneError('host-unreachable', `no host that answers has the storage ${name}`)
}

export function authorityOf(leader: Leader, host: HostRecord) {
  const { session } = host.status
  if (session === null) throw new DialtoneError('host-unreachable', `${host.spec.name} has not reported yet`)
  return { term: leader.term, session }
}

function specOf(leader: Leader, vmId: VmId): VmSpec {
  const vm = leader.index.state().vms.get(vmId)
  if (vm === undefined) throw new DialtoneError('not-found', 'the VM was deleted')
  return vm.spec
}
