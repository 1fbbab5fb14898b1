/** Live migration as whoever moves machines asks for it: the API, and the evacuation of a host. */
import { admitMigration } from '../../control/admit-migration.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { commitAndSee, type Leader } from '../leader.ts'
import type { MigrateVm } from '../maintenance/migrate-vm.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import { type MigrateSagaOptions, migrateSaga } from './migrate-saga.ts'
import type { MigrationJournal } from './migration-journal.ts'

export function createLiveMigration(leader: Leader, tasks: () => TaskRunner, options: MigrateSagaOptions): MigrateVm {
  return {
    sagas: [migrateSaga(leader, options)],
    obstacle(cluster, vm) {
      const verdict = admitMigration(cluster, vm)
      // Where it could go, and whether it is under way already, is seen by whoever asks.
      const isOfHosts = verdict.kind === 'refused' && (verdict.code === 'no-host-fits' || verdict.code === 'in-use')
      return verdict.kind === 'admitted' || isOfHosts ? undefined : verdict.message
    },
    async begin({ spec }, { toHostId, storage, user }) {
      const { id: vmId, name: subject } = spec
      const underWay = [...leader.index.state().tasks.values()].some(
        (task) => task.kind === 'vm.migrate' && task.vmId === vmId && task.endedAt === null,
      )
      if (underWay) throw new DialtoneError('in-use', `${subject} is being moved already`)
      const journal: MigrationJournal = {
        vmId,
        wishedHostId: toHostId,
        wishedStorage: storage,
        reason: `moved by ${user}`,
      }
      const { task, write } = tasks().prepare({ kind: 'vm.migrate', subject, user, vmId, journal })
      await commitAndSee(leader, { conditions: [], writes: [write] })
      tasks().begin(task.id)
      return task.id
    },
  }
}
