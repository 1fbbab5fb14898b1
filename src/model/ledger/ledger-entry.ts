/**
 * The raw material of the ledger: what agents observed and what the controller knows, one stored fact after another. Nothing is ever
 * changed in it; outages and availability are computed from it and from nothing else.
 */
import { z } from 'zod'
import { hostIdSchema, sessionIdSchema } from '../ids.ts'
import { proofSchema } from '../proof.ts'
import { drillKindSchema } from '../recovery/drill.ts'
import { rungSchema } from '../recovery/recovery-policy.ts'
import { recoveryRecordSchema } from '../recovery/recovery-record.ts'

/** A service's key; a lone VM is a service of one, and its id is the key. */
export const ledgerServiceIdSchema = z.string().regex(/^(?:vm|svc)-[a-z0-9]{8}$/, 'must be an id like vm-1a2b3c4d')
export type LedgerServiceId = z.infer<typeof ledgerServiceIdSchema>

const at = { at: z.iso.datetime() }
const ofHost = { ...at, hostId: hostIdSchema, lastHeardAt: z.iso.datetime().nullable() }

/** What a user asked for that takes a service away for a time. */
export const plannedWorkSchema = z.enum(['stop', 'start', 'maintenance', 'delete'])
export type PlannedWork = z.infer<typeof plannedWorkSchema>

/**
 * The controller's own facts, by its own wall clock. Those about a host are entered for every service that runs there and for every one
 * whose other prober looks from there.
 */
export const controllerFactSchema = z.discriminatedUnion('kind', [
  /** It is silent since `lastHeardAt`; what its probers see is unknown until it is heard again. */
  z.object({ kind: z.literal('host-suspect'), ...ofHost }),
  /** It is heard again in the session that it had: what its probers saw meanwhile arrives. */
  z.object({ kind: z.literal('host-heard'), ...at, hostId: hostIdSchema }),
  /** Its agent began anew: what the old session had seen after `lastHeardAt` and not told is lost. */
  z.object({ kind: z.literal('session-began'), ...ofHost, session: sessionIdSchema }),
  z.object({ kind: z.literal('host-proven-dead'), ...ofHost, proof: z.enum(proofSchema.options.map(kindOf)) }),
  /** Where and how the service is brought back. */
  z.object({
    kind: z.literal('decided'),
    ...at,
    fromHostId: hostIdSchema.nullable(),
    toHostId: hostIdSchema,
    rung: rungSchema,
    reason: z.string(),
  }),
  /** A cell of the service that it belongs to is restarted, and it with it or not: what it needs may be away for a moment. */
  z.object({
    kind: z.literal('cell-restart'),
    ...at,
    serviceName: z.string(),
    cell: z.string(),
    components: z.array(z.string()),
    isWithIt: z.boolean(),
    reason: z.string(),
  }),
  z.object({ kind: z.literal('drill-began'), ...at, drillId: z.string(), drill: drillKindSchema }),
  z.object({ kind: z.literal('drill-ended'), ...at, drillId: z.string(), drill: drillKindSchema }),
  /** From here on nobody expects it to answer. */
  z.object({ kind: z.literal('planned-began'), ...at, what: plannedWorkSchema, user: z.string().nullable() }),
  /**
   * It is wanted again: expected from its first correct answer on, or at once if it never went away. Of a stop: somebody wants it started.
   * Of a deletion: it is no more.
   */
  z.object({ kind: z.literal('planned-ended'), ...at, what: plannedWorkSchema, user: z.string().nullable() }),
])
export type ControllerFact = z.infer<typeof controllerFactSchema>

export const ledgerRecordSchema = z.union([recoveryRecordSchema, controllerFactSchema])
export type LedgerRecord = z.infer<typeof ledgerRecordSchema>

export const ledgerEntrySchema = z.object({
  /** When it happened, by the wall clock of whoever saw it: `record.at`. */
  at: z.iso.datetime(),
  service: ledgerServiceIdSchema,
  /** Who saw it: null for the controller's own facts. */
  hostId: hostIdSchema.nullable(),
  session: sessionIdSchema.nullable(),
  /** The record's number in its session. */
  sequence: z.number().int().min(1).nullable(),
  record: ledgerRecordSchema,
})
export type LedgerEntry = z.infer<typeof ledgerEntrySchema>

function kindOf<Kind extends string>(option: { readonly shape: { readonly kind: { readonly value: Kind } } }): Kind {
  return option.shape.kind.value
}
