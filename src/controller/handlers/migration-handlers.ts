/** Moves over the API: what can't be done is refused at once, with the reason of each host; a task does the rest. */
import { admitMigration } from '../../control/admit-migration.ts'
import { refuseByReserve } from '../../control/placement/judge-reserve.ts'
import type { migrationRoutes } from '../../model/api/migration-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findHost, findVm, viewOfTask, viewOfVm } from './api-context.ts'

export function migrationHandlers(context: ApiContext): Handlers<typeof migrationRoutes> {
  const { leader, migrate } = context.engine
  return {
    async migrateVm({ params, body }, caller) {
      const vm = findVm(context, params.vm)
      const toHostId = body.host === undefined ? undefined : findHost(context, body.host).spec.id
      const state = leader.index.state()
      const verdict = admitMigration(state, vm, { hostId: toHostId, storage: body.storage })
      if (verdict.kind === 'refused')
        throw new DialtoneError(verdict.code, verdict.message, { detail: verdict.verdicts })
      const broken = refuseByReserve(state, { vm, hostId: verdict.destinationHostId })
      if (broken !== undefined && !body.force)
        throw new DialtoneError(
          'reserve-broken',
          `${vm.spec.name} can't be moved: ${broken}. Move it all the same with --force`,
        )
      const taskId = await migrate.begin(vm, { toHostId: toHostId ?? null, storage: body.storage, user: caller.name })
      const task = leader.index.state().tasks.get(taskId)
      if (task === undefined) throw new DialtoneError('not-found', `the task ${taskId} is gone already`)
      return { vm: viewOfVm(context, vm.spec.id), task: viewOfTask(task) }
    },
  }
}
