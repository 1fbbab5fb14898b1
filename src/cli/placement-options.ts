/** The options that say where a VM may run: labels, rules, spread. */
import { type Command, InvalidArgumentError } from 'commander'
import { type Label, type Labels, labelKeySchema, parseLabel } from '../model/labels.ts'
import type { PlacementRule, PlacementRules } from '../model/placement-rules.ts'

export type PlacementOptions = {
  readonly label?: Labels
  readonly near?: readonly PlacementRule[]
  readonly apart?: readonly PlacementRule[]
  readonly onHost?: readonly PlacementRule[]
  readonly notOnHost?: readonly PlacementRule[]
  readonly spread?: NonNullable<PlacementRules['spread']>
}

export function addPlacementOptions(command: Command): Command {
  return command
    .option('--label <key=value>', 'a label of the machine; repeatable', labelsOption)
    .option(
      '--near <label[,preferred]>',
      'on a host where a machine with this label runs; repeatable',
      machineRule('near-machines'),
    )
    .option(
      '--apart <label[,preferred]>',
      'on a host where no other machine with this label runs; repeatable',
      machineRule('apart-from-machines'),
    )
    .option(
      '--on-host <host|label[,preferred]>',
      'only on this host, or on hosts with this label; repeatable',
      hostRule('on-hosts'),
    )
    .option(
      '--not-on-host <host|label[,preferred]>',
      'not on this host, or on hosts with this label; repeatable',
      hostRule('not-on-hosts'),
    )
    .option(
      '--spread <label[,over=key]>',
      'prefer hosts (or, with over=zone, zones) where fewest machines with this label run',
      spreadOption,
    )
}

/** What the options say; undefined when they say nothing. */
export function placementRulesOf(options: PlacementOptions): PlacementRules | undefined {
  const { label, near = [], apart = [], onHost = [], notOnHost = [], spread } = options
  const rules = [...near, ...apart, ...onHost, ...notOnHost]
  if (label === undefined && rules.length === 0 && spread === undefined) return undefined
  return { labels: { ...label }, rules, spread: spread ?? null }
}

/** `zone=north`: repeatable. */
export function labelsOption(text: string, previous: Labels = {}): Labels {
  const { key, value } = labelOf(text)
  return { ...previous, [key]: value }
}

function machineRule(kind: 'near-machines' | 'apart-from-machines') {
  return (text: string, previous: readonly PlacementRule[] = []): readonly PlacementRule[] => {
    const { subject, strength } = splitStrength(text)
    return [...previous, { kind, label: labelOf(subject), strength }]
  }
}

function hostRule(kind: 'on-hosts' | 'not-on-hosts') {
  return (text: string, previous: readonly PlacementRule[] = []): readonly PlacementRule[] => {
    const { subject, strength } = splitStrength(text)
    const hosts = subject.includes('=') ? { label: labelOf(subject) } : { host: subject }
    return [...previous, { kind, hosts, strength }]
  }
}

function spreadOption(text: string): NonNullable<PlacementRules['spread']> {
  const [subject = '', over, ...rest] = text.split(',')
  const key = over === undefined ? null : labelKeySchema.safeParse(/^over=(.*)$/.exec(over)?.[1]).data
  if (key === undefined || rest.length > 0)
    throw new InvalidArgumentError(`A spread is written like app=web or app=web,over=zone; '${text}' is not one.`)
  return { label: labelOf(subject), over: key }
}

function splitStrength(text: string): { readonly subject: string; readonly strength: PlacementRule['strength'] } {
  const [subject = '', strength = 'required', ...rest] = text.split(',')
  if ((strength !== 'required' && strength !== 'preferred') || rest.length > 0)
    throw new InvalidArgumentError(`A rule ends with ,preferred or ,required or neither; '${text}' does not.`)
  return { subject, strength }
}

function labelOf(text: string): Label {
  const label = parseLabel(text)
  if (label === undefined) throw new InvalidArgumentError(`A label is written like app=web; '${text}' is not one.`)
  return label
}
