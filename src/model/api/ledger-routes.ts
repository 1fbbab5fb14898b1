/** What the ledger says: outages and availability, computed from its entries when they are asked for. */
import { z } from 'zod'
import { availabilitySchema } from '../ledger/availability.ts'
import { ledgerEntrySchema, ledgerServiceIdSchema } from '../ledger/ledger-entry.ts'
import { outageSchema } from '../ledger/outage.ts'
import type { Contract } from './route.ts'
import { referenceSchema } from './vm-routes.ts'

const dayInSeconds = 86_400

/** How far back, from now on the controller's clock. */
const lastSeconds = z.coerce
  .number()
  .int()
  .min(1)
  .max(3660 * dayInSeconds)
  .default(30 * dayInSeconds)

export const outageViewSchema = z.object({
  ...outageSchema.shape,
  /** How long it has gone on; null when it is over. */
  soFarMs: z.number().min(0).nullable(),
})
export type OutageView = z.infer<typeof outageViewSchema>

export const availabilityViewSchema = z.object({
  service: ledgerServiceIdSchema,
  serviceName: z.string(),
  ...availabilitySchema.shape,
})
export type AvailabilityView = z.infer<typeof availabilityViewSchema>

export const ledgerRoutes = {
  getAvailability: {
    method: 'GET',
    path: '/v1/availability',
    role: 'viewer',
    summary: 'The availability of one service or of all, with its failures and times to recover, drills apart.',
    query: z.object({ service: referenceSchema.optional(), lastSeconds }),
    response: z.object({ services: z.array(availabilityViewSchema) }),
  },
  listOutages: {
    method: 'GET',
    path: '/v1/outages',
    role: 'viewer',
    summary: 'Outages, newest first.',
    query: z.object({
      service: referenceSchema.optional(),
      lastSeconds,
      /** Those that drills made as well, only those, or none of them. */
      drills: z.enum(['all', 'only', 'none']).default('all'),
      /** Those of this drill: the id of its task. */
      drill: z.string().max(64).optional(),
      limit: z.coerce.number().int().min(1).max(10_000).default(1000),
    }),
    response: z.object({ outages: z.array(outageViewSchema) }),
  },
  listLedgerEntries: {
    method: 'GET',
    path: '/v1/ledger/:service',
    role: 'viewer',
    summary: 'The raw entries of one service, oldest first: all figures can be recomputed from them.',
    params: z.object({ service: referenceSchema }),
    response: z.object({ entries: z.array(ledgerEntrySchema) }),
  },
  getOutage: {
    method: 'GET',
    path: '/v1/outages/:outage',
    role: 'viewer',
    summary: 'One outage: its bounds, its parts, and what was tried.',
    params: z.object({ outage: outageSchema.shape.id }),
    response: outageViewSchema,
  },
} as const satisfies Contract
