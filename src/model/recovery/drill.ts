/** Failures that are injected on purpose. A drill's outage is entered apart from those that nobody wanted. */
import { z } from 'zod'
import { hostIdSchema, vmIdSchema } from '../ids.ts'

/** What can be made to fail in a machine by its own agent. */
export const injectedFailureSchema = z.enum(['kill-qemu', 'panic', 'freeze', 'wrong-answers', 'cut-network'])
export type InjectedFailure = z.infer<typeof injectedFailureSchema>

export const drillKindSchema = z.enum([...injectedFailureSchema.options, 'kill-host'])
export type DrillKind = z.infer<typeof drillKindSchema>

export const drillSchema = z.object({
  /** The id of the task that carries it out. */
  id: z.string(),
  kind: drillKindSchema,
  vmId: vmIdSchema,
  hostId: hostIdSchema.nullable(),
  beganAt: z.iso.datetime(),
})
export type Drill = z.infer<typeof drillSchema>
