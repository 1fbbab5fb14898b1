/** Enters a network, with its name and number, and takes one out that no machine has a card in: each in one transaction. */
import { admitNetwork, type NetworkWish, usersOf } from '../../control/networks/admit-network.ts'
import { commitAndSee, type Leader, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { flatNetworkId, type NetworkId } from '../../model/ids.ts'
import type { Network, VirtualNetwork } from '../../model/network.ts'

const attempts = 20

/** Throws the refusal, or `conflict` when others make networks at the same time without end. */
export async function enterNetwork(
  leader: Leader,
  wish: NetworkWish,
  { id, user }: { readonly id: NetworkId; readonly user: string },
): Promise<VirtualNetwork> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const createdAt = leader.clock.wallTime().toISOString()
    const admission = admitNetwork(leader.index.state(), wish, { id, createdAt })
    if (admission.kind === 'refused') throw new DialtoneError(admission.code, admission.message)
    const { network } = admission
    // The name first: who takes the same name at the same time is told so, and numbers are chosen anew.
    const claims = [keys.nameClaim('network', network.name), keys.numberClaim('network', network.number)]
    const event = leader.events.write({
      kind: 'network.created',
      subject: network.name,
      message: `${describeSegment(network)}, ${network.pool.subnet}, uplink ${network.uplink}`,
      user,
    })
    const result = await commitAndSee(leader, {
      conditions: claims.map((key) => ({ key, modRevision: 0 })),
      writes: [...claims.map((key) => put(key, network.id)), put(keys.virtualNetwork(network.id), network), event],
    })
    if (result.kind === 'committed') return network
  }
  throw new DialtoneError('conflict', `${wish.name} could not be made: others make networks at the same time`)
}

/** Throws `in-use` with the machines that have a card in it. */
export async function removeNetwork(
  leader: Leader,
  { id, name, number }: Pick<Network, 'id' | 'name' | 'number'>,
  user: string,
): Promise<void> {
  await untilCommitted(name, async () => {
    if (id === flatNetworkId)
      throw new DialtoneError('wrong-state', `${name} is the hosts' own network: it can't be deleted`)
    const state = leader.index.state()
    if (!state.networks.has(id)) throw new DialtoneError('not-found', `there is no network ${name}`)
    const users = usersOf(state, id)
    if (users.length > 0)
      throw new DialtoneError(
        'in-use',
        `${name} is used by ${users.join(', ')}: remove their cards in it (dialtone nic remove VM ${name}), or delete them`,
        { detail: { vms: users } },
      )
    const [record, use] = [keys.virtualNetwork(id), keys.networkUse(id)]
    const gone = [record, use, keys.nameClaim('network', name), keys.numberClaim('network', number)]
    const event = leader.events.write({ kind: 'network.deleted', subject: name, message: `deleted by ${user}`, user })
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, record), unchanged(leader, use)],
      writes: [...gone.map((key) => ({ kind: 'delete' as const, key })), event],
    })
    return result.kind === 'committed' ? true : undefined
  })
}

function describeSegment({ segment }: Pick<Network, 'segment'>): string {
  if (segment.kind === 'vxlan') return `VXLAN ${segment.vni}`
  return segment.kind === 'vlan' ? `VLAN ${segment.vlanId} on ${segment.interface}` : 'the hosts’ own segment'
}
