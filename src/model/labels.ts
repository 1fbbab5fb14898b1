/** Labels of hosts and machines: `zone=north`, `app=web`. Rules of placement point at them. */
import { z } from 'zod'

const labelPattern = /^[a-z0-9](?:[a-z0-9._/-]{0,61}[a-z0-9])?$/
export const labelKeySchema = z.string().regex(labelPattern, 'must be 1 to 63 small letters, digits, . _ / and hyphens')
export const labelValueSchema = z
  .string()
  .regex(labelPattern, 'must be 1 to 63 small letters, digits, . _ / and hyphens')

export const labelsSchema = z.record(labelKeySchema, labelValueSchema)
export type Labels = Readonly<z.infer<typeof labelsSchema>>

/** One label that something has or has not. */
export const labelSchema = z.object({ key: labelKeySchema, value: labelValueSchema })
export type Label = z.infer<typeof labelSchema>

export function hasLabel(labels: Labels, { key, value }: Label): boolean {
  return labels[key] === value
}

/** As people write it. */
export function describeLabel({ key, value }: Label): string {
  return `${key}=${value}`
}

/** All of them, sorted; `none` without any. */
export function describeLabels(labels: Labels): string {
  const texts = Object.entries(labels).map(([key, value]) => describeLabel({ key, value }))
  return texts.length === 0 ? 'none' : texts.sort().join(', ')
}

/** `zone=north` taken apart; undefined when it isn't one. */
export function parseLabel(text: string): Label | undefined {
  const [key, value, ...rest] = text.split('=')
  const parsed = labelSchema.safeParse({ key, value })
  return rest.length === 0 && parsed.success ? parsed.data : undefined
}
