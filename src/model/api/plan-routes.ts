/** What would be done and why, what a failure would do, and the reserve for failing hosts. */
import { z } from 'zod'
import { mostHostFailures } from '../cluster.ts'
import { clusterDumpSchema } from '../cluster-dump.ts'
import { planSchema } from '../plan.ts'
import type { Contract } from './route.ts'
import { referenceSchema } from './vm-routes.ts'

export const reserveViewSchema = z.object({
  hostFailuresToTolerate: z.number().int(),
  isKept: z.boolean(),
  /** Which loss would leave which machines without a place; empty when none would. */
  reason: z.string(),
})
export type ReserveView = z.infer<typeof reserveViewSchema>

export const planRoutes = {
  getPlan: {
    method: 'GET',
    path: '/v1/plan',
    role: 'viewer',
    summary:
      'Every decision that would fall now, with its reason; and what would become of the machines of a host that dies.',
    query: z.object({ ifHostDies: referenceSchema.optional() }),
    response: planSchema,
  },
  dumpCluster: {
    method: 'GET',
    path: '/v1/cluster/dump',
    role: 'viewer',
    summary: 'The cluster as the planner reads it, without secrets: to be planned with elsewhere.',
    response: clusterDumpSchema,
  },
  getReserve: {
    method: 'GET',
    path: '/v1/cluster/reserve',
    role: 'viewer',
    summary: 'How many hosts may fail with every machine with HA still finding a place, and whether that holds now.',
    response: reserveViewSchema,
  },
  setReserve: {
    method: 'PUT',
    path: '/v1/cluster/reserve',
    role: 'administrator',
    summary: 'Sets how many hosts may fail. What would break it is refused from then on.',
    body: z.strictObject({ hostFailuresToTolerate: z.number().int().min(0).max(mostHostFailures) }),
    response: reserveViewSchema,
  },
} as const satisfies Contract
