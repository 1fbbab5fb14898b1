/** What an application of a service file would do, step by step, with the reason of each. */
import { z } from 'zod'
import { probeSchema } from '../recovery/probe.ts'
import { recoverySchema } from '../recovery/recovery-policy.ts'

const machine = { vmName: z.string(), component: z.string(), replica: z.number().int(), reason: z.string() }

export const memberChangeSchema = z.object({
  cpus: z.number().int().optional(),
  memoryMiB: z.number().int().optional(),
  probe: probeSchema.optional(),
  recovery: recoverySchema.optional(),
  drillable: z.boolean().optional(),
})

export const serviceStepSchema = z.discriminatedUnion('kind', [
  /** It is made when all that it waits for serves: those of a lower wave. */
  z.object({ kind: z.literal('create'), ...machine, wave: z.number().int() }),
  z.object({
    kind: z.literal('change'),
    ...machine,
    change: memberChangeSchema,
    /** Field by field: what it is, and what it is to be. */
    diff: z.array(z.object({ field: z.string(), from: z.string(), to: z.string() })),
  }),
  z.object({ kind: z.literal('delete'), ...machine }),
  /** The file does not name it any more, and nobody said that it is to go. */
  z.object({ kind: z.literal('keep'), ...machine }),
])
export type ServiceStep = z.infer<typeof serviceStepSchema>
export type CreateStep = Extract<ServiceStep, { kind: 'create' }>

export const servicePlanSchema = z.object({
  service: z.string(),
  isNew: z.boolean(),
  steps: z.array(serviceStepSchema),
  /** What can't be kept of a promise in some failures: sentences. */
  warnings: z.array(z.string()),
})
export type ServicePlan = z.infer<typeof servicePlanSchema>
