/** How a VM would be brought back after each failure, and bringing it back by hand. */
import { z } from 'zod'
import { failureCauseSchema, recoverySchema, rungSchema } from '../recovery/recovery-policy.ts'
import type { Contract } from './route.ts'
import { taskViewSchema, vmViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

const vmParams = z.object({ vm: referenceSchema })

export const recoveryPlanSchema = z.object({
  vmName: z.string(),
  recovery: recoverySchema,
  /** What a recovery would lose now: a sentence. */
  loss: z.string(),
  /** What stands in the way of the recovery that its owner declared: sentences. */
  warnings: z.array(z.string()),
  causes: z.array(
    z.object({
      cause: failureCauseSchema,
      /** How this failure is found, and what comes before the first step: a sentence. */
      found: z.string(),
      /** What is tried, in this order, as long as nothing cures. */
      steps: z.array(
        z.object({
          rung: rungSchema,
          waitMs: z.number(),
          /** After the wait, if it cures. */
          expectedMs: z.number(),
          probabilityOfCure: z.number(),
          loses: z.string(),
          reason: z.string(),
        }),
      ),
      /** From the first step until it serves, failed steps included, if any of them cures; null without a step. */
      expectedMs: z.number().nullable(),
      /** What happens when nothing cured: a sentence. */
      otherwise: z.string(),
    }),
  ),
  /** What can be ordered by hand. */
  byHand: z.array(
    z.object({
      rung: rungSchema,
      /** Why it can't be done now; null when it can. */
      obstacle: z.string().nullable(),
      loses: z.string(),
    }),
  ),
})
export type RecoveryPlan = z.infer<typeof recoveryPlanSchema>

export const recoveryRoutes = {
  getRecoveryPlan: {
    method: 'GET',
    path: '/v1/vms/:vm/recovery-plan',
    role: 'viewer',
    summary: 'What would be done after each kind of failure of it, and what would be lost.',
    params: vmParams,
    response: recoveryPlanSchema,
  },
  recoverVm: {
    method: 'POST',
    path: '/v1/vms/:vm/recover',
    role: 'operator',
    summary:
      'Recovers it now: ends it as it runs and brings it back by this rung, or by the one that a failure would begin with.',
    params: vmParams,
    body: z.strictObject({ rung: rungSchema.optional() }).default({}),
    response: z.object({ vm: vmViewSchema, task: taskViewSchema }),
    status: 202,
  },
} as const satisfies Contract
