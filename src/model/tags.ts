/** Tags and the note of a machine: marks for people. Nothing is decided by them; rules of placement point at labels. */
import { z } from 'zod'

export const tagSchema = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9._-]{0,38}[a-z0-9])?$/,
    'must be 1 to 40 small letters, digits, dots, hyphens and underscores',
  )
export const maximumTags = 32
/** Sorted, each once. */
export const tagsSchema = z.array(tagSchema).max(maximumTags)
export const vmNoteSchema = z.string().max(2000)

/** With the added ones and without the removed ones; who is in both is removed. */
export function changedTags(
  tags: readonly string[],
  { add, remove }: { readonly add: readonly string[]; readonly remove: readonly string[] },
): string[] {
  return [...new Set([...tags, ...add])].filter((tag) => !remove.includes(tag)).toSorted()
}
