/** A cloud whose live migration takes a while and hands machines over; and machines that prefer one host, so that there is something to move. */

import { z } from 'zod'
import { hostIdOf, type VmChanges } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { hostIdSchema, type TaskId, vmIdSchema } from '../../model/ids.ts'
import type { MaintenanceWish } from '../../model/maintenance.ts'
import { noPlacementRules } from '../../model/placement-rules.ts'
import type { AgentPort } from '../agent-port.ts'
import { type Cloud, type CloudOptions, startCloud } from '../cloud.fixture.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga } from '../tasks/saga.ts'
import { waitForVm } from '../vms/wait-for-vm.ts'
import { enterMaintenance } from './change-maintenance.ts'
import type { MigrateVm } from './migrate-vm.ts'

export type Migrations = {
  /** Names of machines whose migration fails. */
  readonly failing: Set<string>
  /** Why no machine can be moved while it runs. */
  obstacle: string | undefined
  /** Most that were under way at once. */
  most: number
}

export const migrationTakesMs = 1_000

export async function startMovingCloud(
  options: Partial<CloudOptions> = {},
): Promise<Cloud & { readonly migrations: Migrations }> {
  const migrations: Migrations = { failing: new Set(), obstacle: undefined, most: 0 }
  const cloud = await startCloud({
    hosts: ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true })),
    migrateVm: (leader, tasks, agents): MigrateVm => ({
      sagas: [fakeMigration(leader, agents, migrations)],
      obstacle: () => migrations.obstacle,
      async begin({ spec }, { toHostId, user }) {
        const journal = { vmId: spec.id, toHostId }
        const { task, write } = tasks().prepare({
          kind: 'vm.migrate',
          subject: spec.name,
          user,
          vmId: spec.id,
          journal,
        })
        await commitAndSee(leader, { conditions: [], writes: [write] })
        tasks().begin(task.id)
        return task.id
      },
    }),
    ...options,
  })
  return Object.assign(cloud, { migrations })
}

/** A machine that is best placed on ada, as long as it takes machines. */
export function onAda(changes: VmChanges = {}): VmChanges {
  const rule = { kind: 'on-hosts' as const, hosts: { host: 'ada' }, strength: 'preferred' as const }
  return { ...changes, spec: { placementRules: { ...noPlacementRules, rules: [rule] }, ...changes.spec } }
}

/** Puts ada into maintenance and begins to empty it. */
export async function emptyAda(cloud: Cloud, wish: Partial<MaintenanceWish> = {}): Promise<TaskId> {
  const { leader } = cloud.engine()
  const entered = enterMaintenance(leader, hostIdOf('ada'), { user: 'test' })
  await cloud.clock.until('it is in maintenance', () => cloud.host('ada').spec.maintenance !== null)
  await entered
  const whole: MaintenanceWish = { parallel: 2, stop: false, restartElsewhere: false, ...wish }
  return cloud.begin('host.maintenance', { hostId: hostIdOf('ada'), wish: whole })
}

const journalSchema = z.object({ vmId: vmIdSchema, toHostId: hostIdSchema })

/** Not live: what counts here is that it takes time, may fail, and hands the machine over with a proof. */
function fakeMigration(leader: Leader, agents: AgentPort, migrations: Migrations): RunnableSaga {
  return defineSaga<z.infer<typeof journalSchema>>({
    kind: 'vm.migrate',
    journalSchema,
    pointOfNoReturn: 'move',
    steps: [
      {
        name: 'move',
        message: 'moves',
        timeoutMs: 60_000,
        run: async ({ journal: { vmId, toHostId }, signal }) => {
          const tasks = [...leader.index.state().tasks.values()]
          const underWay = tasks.filter(({ kind, endedAt }) => kind === 'vm.migrate' && endedAt === null)
          migrations.most = Math.max(migrations.most, underWay.length)
          await leader.clock.sleep(migrationTakesMs, signal)
          const { spec, placement } = leader.index.state().vms.get(vmId) ?? {}
          const [from, to] = [placement?.hostId, toHostId].map((id) =>
            id === undefined ? undefined : leader.index.state().hosts.get(id),
          )
          if (spec === undefined || placement === undefined || placement.hostId === toHostId) return
          if (migrations.failing.has(spec.name))
            throw new DialtoneError('hypervisor-failed', 'its memory changes too fast')
          const [session, target] = [from?.status.session, to?.status.session]
          if (from === undefined || to === undefined || typeof session !== 'string' || typeof target !== 'string')
            throw new DialtoneError('wrong-state', 'one of the hosts is gone')
          const authority = { term: leader.term, session }
          const released = await agents.releaseMachine(from.spec, { vmId, authority, upToEpoch: placement.epoch })
          const at = leader.clock.wallTime().toISOString()
          const proof = {
            kind: 'released',
            hostId: from.spec.id,
            hostName: from.spec.name,
            provedAt: at,
            ...released,
          } as const
          const key = keys.vmPlacement(vmId)
          const next = {
            ...placement,
            hostId: toHostId,
            epoch: placement.epoch + 1,
            session: target,
            proof,
            reason: 'moved',
          }
          await commitAndSee(leader, { conditions: [unchanged(leader, key)], writes: [put(key, next)] })
          await waitForVm(leader, vmId, {
            signal,
            condition: (vm) => (vm?.status?.state === 'running' && vm.status.hostId === toHostId ? 'yes' : 'not-yet'),
          })
        },
      },
    ],
  })
}
