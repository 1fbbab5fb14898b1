/** Networks over the API, and the cards that VMs have in them. */
import { admitNetwork, describePoolFault, usersOf } from '../../control/networks/admit-network.ts'
import { planNetworks } from '../../control/networks/plan-networks.ts'
import { commitAndSee, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { NetworkView, networkRoutes } from '../../model/api/network-routes.ts'
import type { NetworkSpec } from '../../model/cluster.ts'
import type { ClusterState, HostRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { flatNetworkId, makeId, networkIdSchema } from '../../model/ids.ts'
import { type Network, networksOf } from '../../model/network.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import type { ApiContext } from './api-context.ts'
import { addNic, listNics, removeNic } from './change-nics.ts'

type NetworkHandlers = Handlers<typeof networkRoutes>
type NetworkBody = Parameters<NetworkHandlers['createNetwork']>[0]['body']

const attempts = 20

export function networkHandlers(context: ApiContext): NetworkHandlers {
  const state = () => context.engine.leader.index.state()
  return {
    listNetworks: () => ({ networks: networksOf(state()).map((network) => viewOfNetwork(state(), network)) }),
    getNetwork: ({ params }) => viewOfNetwork(state(), findNetwork(state(), params.network)),
    createNetwork: ({ body }, caller) => createNetwork(context, body, caller),
    deleteNetwork: ({ params }, caller) => deleteNetwork(context, params.network, caller),
    listNics: ({ params }) => ({ nics: listNics(context, params.vm) }),
    addNic: ({ params, body }, caller) => addNic(context, params.vm, { wish: body, caller }),
    removeNic: ({ params }, caller) => removeNic(context, params.vm, { nic: params.nic, caller }),
  }
}

/** Refuses addresses for the flat network that don't fit together, or that machines would lose. */
export function checkFlatNetwork(network: NetworkSpec, outside: readonly string[]): void {
  const fault = describePoolFault(network)
  if (fault !== undefined) throw new DialtoneError('invalid-input', fault)
  if (outside.length === 0) return
  throw new DialtoneError('in-use', `VMs have addresses that would no longer be assignable: ${outside.join(', ')}`)
}

async function createNetwork({ engine }: ApiContext, body: NetworkBody, caller: Caller): Promise<NetworkView> {
  const { leader } = engine
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const admission = admitNetwork(leader.index.state(), body, {
      id: makeId('net', networkIdSchema, leader.randomBytes(8)),
      createdAt: leader.clock.wallTime().toISOString(),
    })
    if (admission.kind === 'refused') throw new DialtoneError(admission.code, admission.message)
    const { network } = admission
    // The name first: who takes the same name at the same time is told so, and numbers are chosen anew.
    const claims = [keys.nameClaim('network', network.name), keys.numberClaim('network', network.number)]
    const event = leader.events.write({
      kind: 'network.created',
      subject: network.name,
      message: `${describeSegment(network)}, ${network.pool.subnet}, uplink ${network.uplink}`,
      user: caller.name,
    })
    const result = await commitAndSee(leader, {
      conditions: claims.map((key) => ({ key, modRevision: 0 })),
      writes: [...claims.map((key) => put(key, network.id)), put(keys.virtualNetwork(network.id), network), event],
    })
    if (result.kind === 'committed') return viewOfNetwork(leader.index.state(), network)
  }
  throw new DialtoneError('conflict', `${body.name} could not be made: others make networks at the same time`)
}

async function deleteNetwork({ engine }: ApiContext, reference: string, caller: Caller): Promise<NetworkView> {
  const { leader } = engine
  return untilCommitted(reference, async () => {
    const state = leader.index.state()
    const network = findNetwork(state, reference)
    if (network.id === flatNetworkId)
      throw new DialtoneError('wrong-state', `${network.name} is the hosts' own network: it can't be deleted`)
    const users = usersOf(state, network.id)
    if (users.length > 0)
      throw new DialtoneError(
        'in-use',
        `${network.name} is used by ${users.join(', ')}: remove their cards in it (dialtone nic remove VM ${network.name}), or delete them`,
        { detail: { vms: users } },
      )
    const [record, use] = [keys.virtualNetwork(network.id), keys.networkUse(network.id)]
    const gone = [record, use, keys.nameClaim('network', network.name), keys.numberClaim('network', network.number)]
    const event = leader.events.write({
      kind: 'network.deleted',
      subject: network.name,
      message: `deleted by ${caller.name}`,
      user: caller.name,
    })
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, record), unchanged(leader, use)],
      writes: [...gone.map((key) => ({ kind: 'delete' as const, key })), event],
    })
    return result.kind === 'committed' ? { ...network, vmNames: [], hostNames: [] } : undefined
  })
}

function findNetwork(state: ClusterState, reference: string): Network {
  const found = networksOf(state).find(({ id, name }) => name === reference || id === reference)
  if (found === undefined) throw new DialtoneError('not-found', `there is no network ${reference}`)
  return found
}

/** The network as the API shows it: who has a card in it, and the hosts that it is on. */
export function viewOfNetwork(state: ClusterState, network: Network): NetworkView {
  const plan = planNetworks(state)
  const isOn = ({ spec }: HostRecord) =>
    network.id === flatNetworkId || plan.get(spec.id)?.some(({ networkId }) => networkId === network.id) === true
  const names = [...state.hosts.values()].filter(isOn)
  return {
    ...network,
    vmNames: [...usersOf(state, network.id)].sort(),
    hostNames: names.map(({ spec }) => spec.name).sort(),
  }
}

function describeSegment({ segment }: Pick<Network, 'segment'>): string {
  if (segment.kind === 'vxlan') return `VXLAN ${segment.vni}`
  return segment.kind === 'vlan' ? `VLAN ${segment.vlanId} on ${segment.interface}` : 'the hosts’ own segment'
}
