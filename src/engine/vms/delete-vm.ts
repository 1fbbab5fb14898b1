/** Deletes a VM: it is proven dead wherever it may be → its disks go → nothing is remembered of it. */
import { z } from 'zod'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type VmId, vmIdSchema } from '../../model/ids.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga } from '../tasks/saga.ts'
import { deleteDisks } from './create-vm.ts'
import { forgetVm } from './forget-vm.ts'
import { letGo } from './let-go.ts'

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
