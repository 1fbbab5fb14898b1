/** Labels, rules of placement, and what each host says to a machine. */
import { z } from 'zod'
import { hostIdSchema } from '../ids.ts'
import { labelKeySchema, labelsSchema } from '../labels.ts'
import { placementRulesSchema } from '../placement-rules.ts'
import type { Contract } from './route.ts'
import { hostViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

/** What one host says to a machine. */
export const hostVerdictSchema = z.object({
  hostId: hostIdSchema,
  hostName: z.string(),
  fits: z.boolean(),
  /** Why not; or, for a host that fits, what speaks for it. */
  reason: z.string(),
  /** Higher is better; 0 for a host that doesn't fit. */
  score: z.number(),
})

export const placementViewSchema = z.object({
  vmName: z.string(),
  hostName: z.string().nullable(),
  placementRules: placementRulesSchema,
  /** Rules that it breaks where it is: sentences. It isn't moved for them. */
  broken: z.array(z.string()),
  /** What each host would say if it were placed now. */
  verdicts: z.array(hostVerdictSchema),
})
export type PlacementView = z.infer<typeof placementViewSchema>

const vmParams = z.object({ vm: referenceSchema })

export const placementRoutes = {
  getVmPlacement: {
    method: 'GET',
    path: '/v1/vms/:vm/placement',
    role: 'viewer',
    summary: 'Its rules of placement, those that it breaks where it is, and what each host says to it.',
    params: vmParams,
    response: placementViewSchema,
  },
  setVmPlacement: {
    method: 'PUT',
    path: '/v1/vms/:vm/placement',
    role: 'operator',
    summary: 'Its labels and rules of placement. They count from its next placement on.',
    params: vmParams,
    body: placementRulesSchema,
    response: placementViewSchema,
  },
  changeHostLabels: {
    method: 'PATCH',
    path: '/v1/hosts/:host/labels',
    role: 'administrator',
    summary: 'Sets and removes labels of a host.',
    params: z.object({ host: referenceSchema }),
    body: z.strictObject({ set: labelsSchema.default({}), remove: z.array(labelKeySchema).max(64).default([]) }),
    response: hostViewSchema,
  },
} as const satisfies Contract
