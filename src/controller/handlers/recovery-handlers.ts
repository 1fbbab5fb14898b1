/** How a VM would be recovered, and its recovery by hand. */

import { planRecovery } from '../../control/recovery/plan-recovery.ts'
import { recoveryFactsOf } from '../../control/recovery/recovery-facts.ts'
import { commitAndSee } from '../../engine/leader.ts'
import type { recoveryRoutes } from '../../model/api/recovery-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { emptyStatistics } from '../../model/recovery/ladder-statistics.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findVm, viewOfTask, viewOfVm } from './api-context.ts'

export function recoveryHandlers(context: ApiContext): Handlers<typeof recoveryRoutes> {
  const { leader, tasks } = context.engine
  const plan = async (reference: string) => {
    const vm = findVm(context, reference)
    const host = vm.placement === undefined ? undefined : leader.index.state().hosts.get(vm.placement.hostId)
    // Without its host's word the plan rests on what is usual.
    const inventory = host === undefined ? undefined : await context.agents.inventory(host.spec).catch(() => undefined)
    const capturedAt = vm.status?.recovery?.image?.capturedAt
    return planRecovery(
      recoveryFactsOf(leader.index.state(), vm, {
        imageAgeMs: capturedAt === undefined ? null : leader.clock.wallTime().getTime() - Date.parse(capturedAt),
        unavailable: {},
        statistics: inventory?.statistics ?? emptyStatistics,
      }),
    )
  }
  return {
    getRecoveryPlan: ({ params }) => plan(params.vm),
    async recoverVm({ params, body }, caller) {
      const { byHand } = await plan(params.vm)
      const { spec, status } = findVm(context, params.vm)
      const rung = body.rung ?? (spec.recovery.mode === 'boot' ? 'boot' : 'resume-here')
      const obstacle = byHand.find((one) => one.rung === rung)?.obstacle ?? null
      if (obstacle !== null)
        throw new DialtoneError('wrong-state', `${spec.name} can't be recovered by ${rung} now: ${obstacle}`)
      if (status?.state !== 'running')
        throw new DialtoneError('wrong-state', `${spec.name} is ${status?.state ?? 'stopped'}: start it instead`)
      const { task, write } = tasks.prepare({
        kind: 'vm.recover',
        subject: `${spec.name}: ${rung}`,
        user: caller.name,
        vmId: spec.id,
        journal: { vmId: spec.id, rung, beganAt: leader.clock.wallTime().toISOString() },
      })
      await commitAndSee(leader, { conditions: [], writes: [write] })
      tasks.begin(task.id)
      return { vm: viewOfVm(context, spec.id), task: viewOfTask(task) }
    },
  }
}
