/** How a host stands to the rules of a machine, and to those that machines already there have about it. Pure. */
import type { ClusterState, HostRecord, VmRecord } from '../../model/cluster-state.ts'
import type { HostId } from '../../model/ids.ts'
import { describeLabel, hasLabel, type Label } from '../../model/labels.ts'
import { describeHosts, type HostSelector, type PlacementRule } from '../../model/placement-rules.ts'
import type { VmSpec } from '../../model/vm.ts'
import { type HostOccupants, isWanted, occupantsOf } from './host-occupants.ts'

/** How much a preference that is heeded counts, beside a share of free memory between 0 and 1. */
const preferenceWeight = 2

type Question = { readonly cluster: ClusterState; readonly occupants: HostOccupants }

/** The first required rule that the host would break, in a sentence; undefined when it breaks none. */
export function refuseByRules(host: HostRecord, vm: VmSpec, { cluster, occupants }: Question): string | undefined {
  const there = othersOn(host.spec.id, vm, occupants)
  for (const rule of vm.placementRules.rules) {
    if (rule.strength !== 'required' || isHeeded(rule, { host, vm, there, cluster })) continue
    return brokenRule(rule, there)
  }
  // What the others want of their neighbours holds for those who come later, too.
  const unwelcoming = there.find(({ spec }) => spec.placementRules.rules.some((rule) => forbids(rule, vm)))
  return unwelcoming === undefined ? undefined : `${unwelcoming.spec.name}, which runs there, has to be apart from it`
}

/** Points for the preferences that the host heeds, and what they are. */
export function scorePreferences(
  host: HostRecord,
  vm: VmSpec,
  { cluster, occupants }: Question,
): { readonly points: number; readonly reasons: readonly string[] } {
  const { rules, spread } = vm.placementRules
  if (rules.length === 0 && spread === null) return { points: 0, reasons: [] }
  const there = othersOn(host.spec.id, vm, occupants)
  const heeded = rules.filter((rule) => rule.strength === 'preferred' && isHeeded(rule, { host, vm, there, cluster }))
  const reasons = heeded.map((rule) => `prefers ${preferenceOf(rule)}`)
  if (spread === null) return { points: heeded.length * preferenceWeight, reasons }
  const companions = companionsBeside(host, vm, { cluster, spread })
  const within = spread.over === null ? 'there' : `in the same ${spread.over}`
  return {
    points: (heeded.length + 1 / (1 + companions)) * preferenceWeight,
    reasons: [...reasons, `${companions} with ${describeLabel(spread.label)} ${within}`],
  }
}

/** Required rules that a machine breaks where it is now: sentences. */
export function brokenRules(vm: VmRecord, cluster: ClusterState): readonly string[] {
  const host = vm.placement === undefined ? undefined : cluster.hosts.get(vm.placement.hostId)
  if (host === undefined) return []
  const there = othersOn(host.spec.id, vm.spec, occupantsOf(cluster))
  return vm.spec.placementRules.rules
    .filter((rule) => rule.strength === 'required')
    .filter((rule) => !isHeeded(rule, { host, vm: vm.spec, there, cluster }))
    .map((rule) => brokenRule(rule, there))
}

type Surroundings = {
  readonly host: HostRecord
  readonly vm: VmSpec
  /** The other machines that are placed on the host and wanted running. */
  readonly there: readonly VmRecord[]
  readonly cluster: ClusterState
}

function isHeeded(rule: PlacementRule, { host, vm, there, cluster }: Surroundings): boolean {
  switch (rule.kind) {
    case 'near-machines':
      return there.some((other) => carries(other, rule.label)) || !runsAnywhere(rule.label, vm, cluster)
    case 'apart-from-machines':
      return !there.some((other) => carries(other, rule.label))
    case 'on-hosts':
      return selects(rule.hosts, host)
    case 'not-on-hosts':
      return !selects(rule.hosts, host)
  }
}

function brokenRule(rule: PlacementRule, there: readonly VmRecord[]): string {
  switch (rule.kind) {
    case 'near-machines':
      return `no machine with ${describeLabel(rule.label)} runs there, and it has to be near one`
    case 'apart-from-machines': {
      const names = there.filter((other) => carries(other, rule.label)).map(({ spec }) => spec.name)
      return `${names.join(', ')} runs there, and it has to be apart from machines with ${describeLabel(rule.label)}`
    }
    case 'on-hosts':
      return `it has to be on ${describeHosts(rule.hosts)}`
    case 'not-on-hosts':
      return `it must not be on ${describeHosts(rule.hosts)}`
  }
}

function preferenceOf(rule: PlacementRule): string {
  switch (rule.kind) {
    case 'near-machines':
      return `machines with ${describeLabel(rule.label)}`
    case 'apart-from-machines':
      return `to be apart from ${describeLabel(rule.label)}`
    case 'on-hosts':
      return describeHosts(rule.hosts)
    case 'not-on-hosts':
      return `not to be on ${describeHosts(rule.hosts)}`
  }
}

function forbids(rule: PlacementRule, vm: VmSpec): boolean {
  return (
    rule.kind === 'apart-from-machines' &&
    rule.strength === 'required' &&
    hasLabel(vm.placementRules.labels, rule.label)
  )
}

/** How many machines with the label run on the host, or on all hosts of its value. */
function companionsBeside(
  host: HostRecord,
  vm: VmSpec,
  {
    cluster,
    spread,
  }: { readonly cluster: ClusterState; readonly spread: NonNullable<VmSpec['placementRules']['spread']> },
): number {
  const { over, label } = spread
  const domainOf = (hostId: HostId) =>
    over === null ? hostId : (cluster.hosts.get(hostId)?.spec.labels[over] ?? `host ${hostId}`)
  const domain = domainOf(host.spec.id)
  return [...cluster.vms.values()].filter(
    (other) =>
      other.spec.id !== vm.id &&
      carries(other, label) &&
      isWanted(other) &&
      other.placement !== undefined &&
      domainOf(other.placement.hostId) === domain,
  ).length
}

function othersOn(hostId: HostId, vm: VmSpec, occupants: HostOccupants): readonly VmRecord[] {
  return occupants.placedOn(hostId).filter(({ spec }) => spec.id !== vm.id)
}

function runsAnywhere(label: Label, vm: VmSpec, cluster: ClusterState): boolean {
  return [...cluster.vms.values()].some(
    (other) => other.spec.id !== vm.id && carries(other, label) && isWanted(other) && isOnLiveHost(other, cluster),
  )
}

/** Machines that died with their host hold nobody up. */
function isOnLiveHost({ placement }: VmRecord, { hosts }: ClusterState): boolean {
  const state = placement === undefined ? undefined : hosts.get(placement.hostId)?.status.state
  return state !== undefined && state !== 'fenced' && state !== 'offline'
}

function carries({ spec }: VmRecord, label: Label): boolean {
  return hasLabel(spec.placementRules.labels, label)
}

function selects(selector: HostSelector, { spec }: HostRecord): boolean {
  return 'host' in selector ? spec.name === selector.host : hasLabel(spec.labels, selector.label)
}
