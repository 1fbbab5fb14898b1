/** What the stand-in controller answers about recoveries. */
import type { RecoveryPlan, recoveryRoutes } from '../../model/api/recovery-routes.ts'
import type { VmView } from '../../model/api/views.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { makeTaskView } from './views.ts'

/** A warm machine `web` that has its image, and no other host. */
export function makeRecoveryPlan(changes: Partial<RecoveryPlan> = {}): RecoveryPlan {
  const sinceImage = '12 MiB that were written to its root disk since its image of 5 minutes ago'
  const memory = 'nothing on disk, only what was in memory'
  const resume = { rung: 'resume-here', waitMs: 0, expectedMs: 92, probabilityOfCure: 0.96 } as const
  const boot = { rung: 'boot', waitMs: 250, expectedMs: 5_200, probabilityOfCure: 0.9 } as const
  const steps = [
    { ...resume, loses: sinceImage, reason: 'it is the sooner cure' },
    { ...boot, loses: memory, reason: 'resuming has failed' },
  ]
  const otherwise =
    'Needs a person: in vain: resume-here once, boot once. Look at its console; then dialtone vm recover.'
  return {
    vmName: 'web',
    recovery: { mode: 'warm' },
    loss: `A recovery resumes its memory image and loses ${sinceImage}; data volumes lose nothing.`,
    warnings: ['It is not recovered on another host: it has no HA.'],
    causes: [
      { cause: 'process-died', found: 'node1 sees the end of its process.', steps, expectedMs: 310, otherwise },
      {
        cause: 'host-died',
        found: 'node1 falls silent.',
        steps: [],
        expectedMs: null,
        otherwise: 'Needs a person: it has no HA.',
      },
      { cause: 'unknown', found: 'It is down.', steps, expectedMs: 310, otherwise },
    ],
    byHand: [
      { rung: 'restart-in-guest', obstacle: 'its guest has no agent', loses: 'nothing' },
      { rung: 'resume-here', obstacle: null, loses: sinceImage },
      { rung: 'resume-elsewhere', obstacle: 'it has no HA', loses: sinceImage },
      { rung: 'boot', obstacle: null, loses: memory },
      { rung: 'rebuild-root', obstacle: null, loses: 'all that was ever written to its root disk' },
    ],
    ...changes,
  }
}

export type RecoverySituation = { readonly vms: readonly VmView[]; readonly changes: string[] }

export function makeRecoveryHandlers(situation: RecoverySituation): Handlers<typeof recoveryRoutes> {
  const found = (reference: string): VmView => {
    const vm = situation.vms.find(({ id, name }) => id === reference || name === reference)
    if (vm === undefined) throw new DialtoneError('not-found', `There is no VM ${reference}.`)
    return vm
  }
  return {
    getRecoveryPlan: ({ params }) => makeRecoveryPlan({ vmName: found(params.vm).name }),
    recoverVm: ({ params, body }) => {
      const vm = found(params.vm)
      situation.changes.push(`recover ${vm.name} ${body.rung ?? 'as it would be'}`)
      return { vm, task: makeTaskView({ kind: 'vm.recover', subject: vm.name }) }
    },
  }
}
