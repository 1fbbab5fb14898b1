/** What is peculiar to a VM that was entered anew from what lies beside its disks. */
import { z } from 'zod'
import { hostIdSchema } from '../ids.ts'

export const rebuiltSchema = z.object({
  /** Epochs up to this were given out before the state was lost. */
  upToEpoch: z.number().int().min(0),
  /** The epoch of whoever owned it last, by its claims and manifests. */
  ownedEpoch: z.number().int().min(0),
  /** Hosts that may run it. Nothing is done with it before each has told that it does or does not, or is proven dead; empty from then on. */
  awaits: z.array(hostIdSchema),
})
export type Rebuilt = z.infer<typeof rebuiltSchema>

/** True until it is known whether it runs, and where. */
export function isUnsettled({ rebuilt }: { readonly rebuilt?: Rebuilt | undefined }): boolean {
  return rebuilt !== undefined && rebuilt.awaits.length > 0
}
