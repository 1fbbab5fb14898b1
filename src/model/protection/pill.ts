/** What stands in a host's slot on a shared storage. A pill kills: the host's leased machines on that storage end, whatever its lease says. */
import { z } from 'zod'
import { hostIdSchema } from '../ids.ts'

export const pillSchema = z.object({
  kind: z.literal('pill'),
  hostId: hostIdSchema,
  term: z.number().int(),
  /** Counts the fencings of this host; a pill of an earlier fencing proves nothing for a later one. */
  generation: z.number().int().min(1),
})
export type Pill = z.infer<typeof pillSchema>

export type SlotContent =
  | { readonly kind: 'pill-free' }
  | { readonly kind: 'pill'; readonly pill: Pill }
  /** It can be read, but it is neither: counts as unreadable, since it may have been meant as a pill. */
  | { readonly kind: 'unintelligible'; readonly text: string }

export function parseSlot(text: string | undefined): SlotContent {
  if (text === undefined || text === '') return { kind: 'pill-free' }
  try {
    const parsed = pillSchema.safeParse(JSON.parse(text))
    if (parsed.success) return { kind: 'pill', pill: parsed.data }
  } catch {
    // Falls through: not JSON is as unintelligible as another shape.
  }
  return { kind: 'unintelligible', text: text.slice(0, 200) }
}

export function formatPill(pill: Pill): string {
  return JSON.stringify(pill)
}
