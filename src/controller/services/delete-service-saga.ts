/** Deletes a service: its machines, those that need others first, then what is remembered of it. */
import { z } from 'zod'
import { membersOf } from '../../control/services/service-status.ts'
import { inWaves, wavesOf } from '../../control/services/start-waves.ts'
import { commitAndSee, type Leader } from '../../engine/leader.ts'
import { untilChildEnded } from '../../engine/snapshots/child-task.ts'
import { keys } from '../../engine/state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../../engine/tasks/saga.ts'
import type { TaskRunner } from '../../engine/tasks/task-runner.ts'
import { serviceIdSchema } from '../../model/ids.ts'
import { deleteMember } from './member-works.ts'

const journalSchema = z.object({ serviceId: serviceIdSchema })
type Journal = z.infer<typeof journalSchema>

export function deleteServiceSaga(leader: Leader, tasks: () => TaskRunner): RunnableSaga {
  return defineSaga<Journal>({
    kind: 'service.delete',
    journalSchema,
    pointOfNoReturn: 'delete-machines',
    steps: [
      {
        name: 'delete-machines',
        isRepeated: true,
        message: 'deletes its machines with their disks',
        timeoutMs: 600_000,
        run: (context) => deleteMembers(leader, tasks(), context),
      },
      {
        name: 'forget',
        isRepeated: true,
        message: 'forgets it',
        timeoutMs: 30_000,
        run: ({ journal, task }) => forget(leader, { journal, name: task.subject, user: task.user }),
      },
    ],
  })
}

async function deleteMembers(
  leader: Leader,
  tasks: TaskRunner,
  { journal, task, signal }: StepContext<Journal>,
): Promise<void> {
  const service = leader.index.state().services.get(journal.serviceId)
  if (service === undefined) return
  const members = membersOf(leader.index.state(), journal.serviceId)
  const order = inWaves(wavesOf(service.spec.file.components), [...members.keys()]).toReversed()
  for (const wave of order) {
    const machines = wave.flatMap((component) => members.get(component) ?? [])
    const begun = await Promise.all(machines.map(({ spec }) => deleteMember({ leader, tasks }, spec.name, task.user)))
    for (const { id } of begun) await untilChildEnded(leader, id, { signal, tell: () => undefined })
  }
}

async function forget(
  leader: Leader,
  { journal, name, user }: { readonly journal: Journal; readonly name: string; readonly user: string },
): Promise<void> {
  const { serviceId } = journal
  const event = leader.events.write({
    kind: 'service.deleted',
    subject: name,
    message: 'deleted with all its machines',
    user,
  })
  await commitAndSee(leader, {
    conditions: [],
    writes: [
      ...[keys.service(serviceId), keys.serviceLessons(serviceId), keys.nameClaim('service', name)].map(
        (key) => ({ kind: 'delete', key }) as const,
      ),
      event,
    ],
  })
}
