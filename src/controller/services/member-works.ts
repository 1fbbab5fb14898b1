/** What an application of a service does to one machine, each as it would be done over the API. */
import { wishForMember } from '../../control/services/wish-for-member.ts'
import { type Leader, untilCommitted } from '../../engine/leader.ts'
import type { TaskRunner } from '../../engine/tasks/task-runner.ts'
import type { Task } from '../../model/cluster.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { TaskId } from '../../model/ids.ts'
import type { ServiceSpec } from '../../model/service/service.ts'
import type { ServiceStep } from '../../model/service/service-plan.ts'
import { enterVm } from '../clones/enter-vm.ts'
import { enterChange } from '../handlers/change-vm.ts'
import { enterDeletion } from '../handlers/enter-deletion.ts'

export type Desk = { readonly leader: Leader; readonly tasks: TaskRunner }

/** The task that makes or deletes it; undefined for what needs none. Throws why it can't be. */
export async function carryOutStep(
  desk: Desk,
  { step, service, user }: { readonly step: ServiceStep; readonly service: ServiceSpec; readonly user: string },
): Promise<TaskId | undefined> {
  switch (step.kind) {
    case 'keep':
      return undefined
    case 'create': {
      const wish = wishForMember(service.file, { serviceId: service.id, ...step })
      if (wish === undefined) return undefined
      return (await enterVm(desk, wish, user)).task.id
    }
    case 'change':
      await untilCommitted(step.vmName, async () => {
        const change = { force: false, ...step.change }
        return (await enterChange(desk.leader, requireMember(desk, step.vmName), { change, user })) ? true : undefined
      })
      return undefined
    case 'delete':
      return (await deleteMember(desk, step.vmName, user)).id
  }
}

/** Deletes the machine as if by force: it runs, and is not asked. */
export function deleteMember(desk: Desk, vmName: string, user: string): Promise<Task> {
  return untilCommitted(vmName, () => enterDeletion(desk, requireMember(desk, vmName), user))
}

function requireMember({ leader }: Desk, name: string): VmRecord {
  const vm = [...leader.index.state().vms.values()].find(({ spec }) => spec.name === name)
  if (vm === undefined) throw new DialtoneError('not-found', `there is no VM ${name}`)
  return vm
}
