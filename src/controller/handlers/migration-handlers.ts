/** Moves over the API: what can't be done is refused at once, with the reason of each host; a task does the rest. */
import { admitMigration } from '../../control/admit-migration.ts'
import { commitAndSee } from '../../engine/leader.ts'
import type { MigrationJournal } from '../../engine/vms/migration-journal.ts'
import type { migrationRoutes } from '../../model/api/migration-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findHost, findVm, viewOfTask, viewOfVm } from './api-context.ts'

export function migrationHandlers(context: ApiContext): Handlers<typeof migrationRoutes> {
  const { leader, tasks } = context.engine
  return {
    async migrateVm({ params, body }, caller) {
      const vm = findVm(context, params.vm)
      const { spec } = vm
      const wished = body.host === undefined ? undefined : findHost(context, body.host).spec.id
      const state = leader.index.state()
      const isAsked = [...state.tasks.values()].some(
        ({ kind, vmId, endedAt }) => kind === 'vm.migrate' && vmId === spec.id && endedAt === null,
      )
      if (isAsked) throw new DialtoneError('in-use', `${spec.name} is being moved already`)
      const verdict = admitMigration(state, vm, wished)
      if (verdict.kind === 'refused')
        throw new DialtoneError(verdict.code, verdict.message, { detail: verdict.verdicts })
      const journal: MigrationJournal = {
        vmId: spec.id,
        wishedHostId: wished ?? null,
        reason: `moved by ${caller.name}`,
      }
      const { task, write } = tasks.prepare({
        kind: 'vm.migrate',
        subject: spec.name,
        user: caller.name,
        vmId: spec.id,
        journal,
      })
      await commitAndSee(leader, { conditions: [], writes: [write] })
      tasks.begin(task.id)
      return { vm: viewOfVm(context, spec.id), task: viewOfTask(task) }
    },
  }
}
