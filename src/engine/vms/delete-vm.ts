/** Deletes a VM: it is proven dead wherever it may be → its disks go → nothing is remembered of it. */
import { z } from 'zod'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type HostId, type VmId, vmIdSchema } from '../../model/ids.ts'
import { epochOn, ownersOf } from '../../model/migration/owners-of.ts'
import { proofReaches } from '../../model/proof-reaches.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga } from '../tasks/saga.ts'
import { authorityOf, deleteDisks } from './create-vm.ts'
import { forgetVm } from './forget-vm.ts'

const journalSchema = z.object({ vmId: vmIdSchema })

export function deleteVmSaga(leader: Leader, agents: AgentPort): RunnableSaga {
  return defineSaga<z.infer<typeof journalSchema>>({
    kind: 'vm.delete',
    journalSchema,
    pointOfNoReturn: 'delete-disks',
    steps: [
      {
        name: 'let-go',
        message: 'waits until its host has let go of it',
        timeoutMs: 60_000,
        run: ({ journal, signal }) => letGo(leader, agents, { vmId: journal.vmId, signal }),
        undo: ({ journal }) => comeBackToLife(leader, journal.vmId),
      },
      {
        name: 'delete-disks',
        isRepeated: true,
        message: 'deletes its disks',
        timeoutMs: 120_000,
        run: ({ journal }) => deleteDisks(leader, agents, journal.vmId),
      },
      {
        name: 'forget',
        isRepeated: true,
        message: 'forgets it',
        timeoutMs: 30_000,
        run: async ({ journal, task }) => {
          const event = leader.events.write({
            kind: 'vm.deleted',
            subject: task.subject,
            message: 'deleted with its disks',
            vmId: journal.vmId,
            user: task.user,
          })
          await forgetVm(leader, journal.vmId, event)
        },
      },
    ],
  })
}

/** Asks every host that may hold it until it answers with the proof; a host that is proven dead counts as having let go. */
async function letGo(
  leader: Leader,
  agents: AgentPort,
  { vmId, signal }: { readonly vmId: VmId; readonly signal: AbortSignal },
): Promise<void> {
  const letGoBy = new Set<HostId>()
  for (;;) {
    signal.throwIfAborted()
    const vm = leader.index.state().vms.get(vmId)
    const left = vm === undefined ? [] : ownersOf(vm).filter((hostId) => !letGoBy.has(hostId))
    if (vm === undefined || left.length === 0) return
    for (const hostId of left) if (await hasLetGo(leader, agents, { vm, hostId })) letGoBy.add(hostId)
    if (letGoBy.size < ownersOf(vm).length) await leader.clock.sleep(300, signal)
  }
}

async function hasLetGo(
  leader: Leader,
  agents: AgentPort,
  { vm, hostId }: { readonly vm: VmRecord; readonly hostId: HostId },
): Promise<boolean> {
  const vmId = vm.spec.id
  const host = leader.index.state().hosts.get(hostId)
  const epoch = epochOn(vm, hostId)
  if (host === undefined)
    throw new DialtoneError('not-proven-dead', `the host of ${vm.spec.name} is no longer part of the cluster`)
  const { proof } = host.status
  if (epoch === undefined || (proof !== null && proofReaches(vm, proof))) return true
  if (host.status.state !== 'online' && host.status.state !== 'maintenance') return false
  return agents
    .releaseMachine(host.spec, { vmId, authority: authorityOf(leader, host), upToEpoch: epoch })
    .then(() => true)
    .catch((error: unknown) => {
      leader.logger.warn('vm.not-released', { vmId, host: host.spec.name, error })
      return false
    })
}

async function comeBackToLife(leader: Leader, vmId: VmId): Promise<void> {
  const vm = leader.index.state().vms.get(vmId)
  if (vm === undefined || vm.spec.lifecycle !== 'deleting') return
  const key = keys.vm(vmId)
  const result = await commitAndSee(leader, {
    conditions: [unchanged(leader, key)],
    writes: [put(key, { ...vm.spec, lifecycle: 'live' })],
  })
  if (result.kind === 'conflict') throw new DialtoneError('conflict', `${vm.spec.name} was changed meanwhile`)
}
