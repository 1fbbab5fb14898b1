/** What the agent tells the watchdog process of its host: always the whole state, as one JSON line. The newest line counts. */
import { z } from 'zod'
import { storageIdSchema, vmIdSchema } from '../../model/ids.ts'
import { timingsSchema } from '../../model/timings.ts'

export const watchdogStateSchema = z.object({
  sequence: z.number().int(),
  timings: timingsSchema,
  acknowledgedHeartbeatSentAtMs: z.number().nullable(),
  pillFreeReads: z.array(z.object({ storageId: storageIdSchema, startedAtMs: z.number() })),
  pills: z.array(storageIdSchema),
  /** Every machine that a lease may kill, from before its process starts until after it is reaped. */
  machines: z.array(
    z.object({
      vmId: vmIdSchema,
      storageIds: z.array(storageIdSchema),
      isFrozen: z.boolean(),
      cgroupDirectory: z.string(),
    }),
  ),
  agentPid: z.number().int(),
})
export type WatchdogState = z.infer<typeof watchdogStateSchema>

/** The watchdog's answer to each line. */
export const watchdogAnswerSchema = z.object({ sequence: z.number().int(), armed: z.enum(['hard', 'none']) })
export type WatchdogAnswer = z.infer<typeof watchdogAnswerSchema>
