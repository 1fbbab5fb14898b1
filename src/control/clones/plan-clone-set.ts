/**
 * What a set of clones is: who is in it, under which names and addresses, in which network; or the first reason why it can't be, before
 * anything is made. The whole set is tried out, one machine after the other, on a copy of the cluster. Pure.
 */
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import { flatNetworkId, type NetworkId, nameSchema } from '../../model/ids.ts'
import { type Network, networksOf, nicsOf } from '../../model/network.ts'
import { tagSchema } from '../../model/tags.ts'
import { admitVm, type NewIdentity, type Refusal } from '../admit-vm.ts'
import { admitNetwork, type NetworkWish } from '../networks/admit-network.ts'
import { moveVm } from '../placement/simulate-loss.ts'
import { refuseSnapshot } from '../snapshots/admit-snapshot.ts'
import { wishForClone } from './wish-for-clone.ts'

export type CloneSetWish = {
  readonly vms: readonly VmRecord[]
  /** A network that there is, or the name of one that is made for the set, without a way out. */
  readonly target:
    | { readonly kind: 'network'; readonly network: Network }
    | { readonly kind: 'isolated'; readonly name: string }
  readonly prefix: string
  readonly suffix: string
  /** There has to be room for all of them to run. */
  readonly isStarted: boolean
}

export type CloneSetMember = {
  readonly vm: VmRecord
  /** Of the clone. */
  readonly name: string
  /** That of its origin. */
  readonly address: string
}

export type CloneSetPlan = {
  readonly kind: 'planned'
  readonly members: readonly CloneSetMember[]
  /** Null: the target is there. */
  readonly network: NetworkWish | null
  /** All clones have it. */
  readonly tag: string
}

export type CloneSetIds = {
  readonly networkId: NetworkId
  readonly members: readonly NewIdentity[]
  readonly createdAt: string
}

export function planCloneSet(cluster: ClusterState, wish: CloneSetWish, ids: CloneSetIds): CloneSetPlan | Refusal {
  const { vms, target } = wish
  const twice = vms.find(({ spec }, index) => vms.findIndex((other) => other.spec.id === spec.id) !== index)
  if (twice !== undefined) return refused('invalid-input', `${twice.spec.name} is named twice`)
  const shared = sharedNetwork(cluster, vms)
  if (shared.kind === 'refused') return shared
  const { network: origin } = shared
  const tag = tagSchema.safeParse(`set.${target.kind === 'network' ? target.network.name : target.name}`)
  if (!tag.success)
    return refused(
      'invalid-input',
      'the name of its network is too long for a set, which is tagged with it: at most 36 letters',
    )
  const network = target.kind === 'network' ? null : isolated(target.name, origin)
  const members = vms.map((vm) => ({
    ...{ vm, name: `${wish.prefix}${vm.spec.name}${wish.suffix}` },
    address: nicsOf(vm.spec).find(({ networkId }) => networkId === origin.id)?.address ?? '',
  }))
  const plan: CloneSetPlan = { kind: 'planned', members, network, tag: tag.data }
  return tryOut(cluster, { plan, wish, ids }) ?? plan
}

type Shared = { readonly kind: 'shared'; readonly network: Network }

/** The first of the first machine's networks that all have a card in: what one knows another by are its addresses there. */
function sharedNetwork(cluster: ClusterState, vms: readonly VmRecord[]): Shared | Refusal {
  const [first, ...others] = vms
  const networks = first === undefined ? [] : nicsOf(first.spec).map(({ networkId }) => networkId)
  const lacking = (networkId: NetworkId) =>
    others.find(({ spec }) => !nicsOf(spec).some((nic) => nic.networkId === networkId))
  const shared = networks.find((networkId) => lacking(networkId) === undefined)
  const found = networksOf(cluster).find(({ id }) => id === (shared ?? networks[0]))
  if (first === undefined || found === undefined) return refused('invalid-input', 'a set has machines in a network')
  if (shared !== undefined) return { kind: 'shared', network: found }
  return refused(
    'invalid-input',
    `${lacking(found.id)?.spec.name} has no card in ${found.name}, where ${first.spec.name} is: clones of both could not ask each other`,
  )
}

/** With the addresses of the other one; nobody in it reaches anything outside of it. */
function isolated(name: string, { pool, id, domain, prefix6 }: Network): NetworkWish {
  return {
    ...{ name, kind: 'vxlan', ...pool, uplink: 'none' },
    ...(id === flatNetworkId ? {} : { domain }),
    ...(prefix6 === null ? {} : { prefix6 }),
  }
}

type Trial = { readonly plan: CloneSetPlan; readonly wish: CloneSetWish; readonly ids: CloneSetIds }

function tryOut(cluster: ClusterState, { plan, wish: { target, isStarted }, ids }: Trial): Refusal | undefined {
  const made =
    plan.network === null
      ? undefined
      : admitNetwork(cluster, plan.network, { id: ids.networkId, createdAt: ids.createdAt })
  if (made?.kind === 'refused') return made
  const networkId = target.kind === 'network' ? target.network.id : ids.networkId
  let trial: ClusterState =
    made === undefined ? cluster : { ...cluster, networks: new Map([...cluster.networks, [networkId, made.network]]) }
  for (const [index, member] of plan.members.entries()) {
    const identity = ids.members[index]
    if (identity === undefined) continue
    const unfit = refuseMember(cluster, member)
    if (unfit !== undefined) return unfit
    const { vm, name, address } = member
    const instant = { disks: vm.spec.disks, machine: vm.spec }
    const wish = wishForClone(vm.spec, instant, { name, start: isStarted, card: { networkId, address } })
    const admission = admitVm(trial, wish, identity)
    if (admission.kind === 'refused')
      return { ...admission, message: `${name}, the clone of ${vm.spec.name}: ${admission.message}` }
    const { spec, hostId } = admission
    trial = moveVm(trial, { spec, placement: undefined, status: undefined, standby: undefined }, hostId)
  }
  return undefined
}

function refuseMember(cluster: ClusterState, { vm, name }: CloneSetMember): Refusal | undefined {
  const { spec } = vm
  if (!nameSchema.safeParse(name).success)
    return refused('invalid-input', `${name}, the clone of ${spec.name}, is no name`)
  const busy = refuseSnapshot(cluster, vm, { name: 'for-a-set', kind: 'disk' })
  return busy === undefined ? undefined : { kind: 'refused', ...busy }
}

function refused(code: Refusal['code'], message: string): Refusal {
  return { kind: 'refused', code, message }
}
