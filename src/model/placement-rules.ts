/** What a machine's owner wants of the place where it runs: beside which machines, on which hosts, spread over what. */
import { z } from 'zod'
import { nameSchema } from './ids.ts'
import { describeLabel, labelKeySchema, labelSchema, labelsSchema } from './labels.ts'

/** `required`: rather nowhere than against it. `preferred`: counts when a host is chosen. */
export const strengthSchema = z.enum(['required', 'preferred'])

/** Hosts that have a label, or the one of this name. */
export const hostSelectorSchema = z.union([
  z.strictObject({ label: labelSchema }),
  z.strictObject({ host: nameSchema }),
])
export type HostSelector = z.infer<typeof hostSelectorSchema>

export const placementRuleSchema = z.discriminatedUnion('kind', [
  /** On a host where a machine with this label runs. Where none runs anywhere, any host will do. */
  z.strictObject({ kind: z.literal('near-machines'), label: labelSchema, strength: strengthSchema }),
  /** On a host where no other machine with this label runs. Holds in both directions. */
  z.strictObject({ kind: z.literal('apart-from-machines'), label: labelSchema, strength: strengthSchema }),
  z.strictObject({ kind: z.literal('on-hosts'), hosts: hostSelectorSchema, strength: strengthSchema }),
  z.strictObject({ kind: z.literal('not-on-hosts'), hosts: hostSelectorSchema, strength: strengthSchema }),
])
export type PlacementRule = z.infer<typeof placementRuleSchema>

export const placementRulesSchema = z.strictObject({
  /** Labels of the machine itself, by which rules of other machines find it. */
  labels: labelsSchema.default({}),
  rules: z.array(placementRuleSchema).max(32).default([]),
  /** Prefers hosts where fewest machines with this label run; `over` a label of hosts (`zone`): fewest among the hosts of one value. */
  spread: z.strictObject({ label: labelSchema, over: labelKeySchema.nullable() }).nullable().default(null),
})
export type PlacementRules = z.infer<typeof placementRulesSchema>

export const noPlacementRules: PlacementRules = { labels: {}, rules: [], spread: null }

/** A rule in words: the end of a sentence that begins with what has it. */
export function describeRule(rule: PlacementRule): string {
  const verb = rule.strength === 'required' ? 'has to run' : 'had better run'
  switch (rule.kind) {
    case 'near-machines':
      return `${verb} beside a machine with ${describeLabel(rule.label)}`
    case 'apart-from-machines':
      return `${verb} apart from machines with ${describeLabel(rule.label)}`
    case 'on-hosts':
      return `${verb} on ${describeHosts(rule.hosts)}`
    case 'not-on-hosts':
      return `${verb} elsewhere than on ${describeHosts(rule.hosts)}`
  }
}

export function describeHosts(selector: HostSelector): string {
  return 'host' in selector ? selector.host : `hosts with ${describeLabel(selector.label)}`
}

/** All of it in one line; `none` without any. */
export function describePlacementRules({ rules, spread }: PlacementRules): string {
  const over = spread?.over === null || spread?.over === undefined ? 'hosts' : `hosts of one ${spread.over}`
  const spreading = spread === null ? [] : [`spreads with ${describeLabel(spread.label)} over ${over}`]
  const all = [...rules.map(describeRule), ...spreading]
  return all.length === 0 ? 'none' : all.join('; ')
}
