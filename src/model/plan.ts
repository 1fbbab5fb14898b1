/** What would be done, and why: the answer of the planner. */
import { z } from 'zod'

const refusalSchema = z.object({ hostName: z.string(), reason: z.string() })

export const vmPlanSchema = z.object({
  vmName: z.string(),
  hostName: z.string().nullable(),
  state: z.string(),
  /** The next thing that is done for it; `settled`: nothing. */
  decision: z.enum([
    'settled',
    'wait',
    'place',
    'start',
    'stop',
    'change',
    'configure',
    'release',
    'adopt',
    'settle-rebuilt',
    'accept-stop',
  ]),
  /** Where it is done, or where it would be placed. */
  toHostName: z.string().nullable(),
  /** Why, or what it waits for: a sentence. */
  reason: z.string(),
  /** Why it is not on another host, for each: what would hinder it there. */
  refusals: z.array(refusalSchema),
  /** Rules of placement that it breaks where it is. */
  brokenRules: z.array(z.string()),
  /** Who would take it over from memory, or why nobody: a sentence; empty when it recovers by booting. */
  standby: z.string(),
})

export const hostLossPlanSchema = z.object({
  hostName: z.string(),
  /** What comes before anything starts elsewhere: how the host is proven dead. */
  proof: z.string(),
  /** At the latest, from its last sign of life; null when nothing proves it without a person, or when nobody can say. */
  provenAfterMs: z.number().nullable(),
  recovered: z.array(
    z.object({
      vmName: z.string(),
      toHostName: z.string(),
      way: z.enum(['warm-standby', 'fetched-image', 'boot']),
      /** After the proof, until it serves: from what was measured. */
      expectedMs: z.number().nullable(),
      loses: z.string(),
      reason: z.string(),
    }),
  ),
  notRecovered: z.array(z.object({ vmName: z.string(), reason: z.string(), refusals: z.array(refusalSchema) })),
  /** Machines elsewhere that would lose their standby with it. */
  losesStandby: z.array(z.string()),
})

export const planSchema = z.object({
  takenAt: z.iso.datetime(),
  revision: z.number().int(),
  /** Whether the reserve for failing hosts is whole: a sentence. */
  reserve: z.string(),
  vms: z.array(vmPlanSchema),
  ifHostDies: hostLossPlanSchema.nullable(),
})
export type Plan = z.infer<typeof planSchema>
export type VmPlan = z.infer<typeof vmPlanSchema>
export type HostLossPlan = z.infer<typeof hostLossPlanSchema>
