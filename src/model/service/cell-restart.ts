/** The restart of a cell, as its task remembers it: what the policy's history and its lessons are made of. */
import { z } from 'zod'
import { serviceIdSchema } from '../ids.ts'

/** The kind of its task. */
export const cellRestartKind = 'service.restart'

export const cellRestartSchema = z.object({
  serviceId: serviceIdSchema,
  /** The suspects, as lessons are kept by. */
  symptom: z.string(),
  /** The names of all cells that could be tried for it, the smallest first. */
  levels: z.array(z.string()).min(1),
  /** The one that is restarted, and the largest that was restarted in vain before it; -1: none was. */
  level: z.number().int().min(0),
  failedLevel: z.number().int().min(-1),
  components: z.array(z.string()).min(1),
  suspects: z.array(z.string()).min(1),
  reason: z.string(),
  beganAt: z.iso.datetime(),
  /** Whether the suspects, and all that need them, served after it; null while nobody knows. */
  isCured: z.boolean().nullable(),
  /** When that was known. */
  endedAt: z.iso.datetime().nullable(),
})
export type CellRestart = z.infer<typeof cellRestartSchema>
