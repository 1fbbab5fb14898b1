/** Networks over the API, and the cards that VMs have in them. */
import { describePoolFault, usersOf } from '../../control/networks/admit-network.ts'
import { planNetworks } from '../../control/networks/plan-networks.ts'
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
import { enterNetwork, removeNetwork } from './enter-network.ts'

type NetworkHandlers = Handlers<typeof networkRoutes>
type NetworkBody = Parameters<NetworkHandlers['createNetwork']>[0]['body']

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
  const id = makeId('net', networkIdSchema, leader.randomBytes(8))
  const network = await enterNetwork(leader, body, { id, user: caller.name })
  return viewOfNetwork(leader.index.state(), network)
}

async function deleteNetwork({ engine }: ApiContext, reference: string, caller: Caller): Promise<NetworkView> {
  const { leader } = engine
  const network = findNetwork(leader.index.state(), reference)
  await removeNetwork(leader, network, caller.name)
  return { ...network, vmNames: [], hostNames: [] }
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
