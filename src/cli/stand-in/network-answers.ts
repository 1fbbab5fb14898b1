/** One network of its own, as the API answers it, for tests. */
import type { NetworkView, networkRoutes } from '../../model/api/network-routes.ts'
import { networkIdSchema } from '../../model/ids.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { makeTaskView, makeVmView } from './views.ts'

export function makeNetworkHandlers(): Handlers<typeof networkRoutes> {
  return {
    listNetworks: () => ({ networks: [makeNetworkView()] }),
    getNetwork: () => makeNetworkView(),
    createNetwork: ({ body }) => makeNetworkView({ name: body.name, uplink: body.uplink }),
    deleteNetwork: () => makeNetworkView(),
    listNics: () => ({ nics: makeVmView().nics }),
    addNic: () => makeVmView(),
    removeNic: () => ({ vm: makeVmView(), task: makeTaskView({ kind: 'vm.detach-card' }) }),
  }
}

function makeNetworkView(changes: Partial<NetworkView> = {}): NetworkView {
  return {
    id: networkIdSchema.parse('net-aaaaaaaa'),
    name: 'dev',
    number: 1,
    segment: { kind: 'vxlan', vni: 1000 },
    pool: { subnet: '10.5.0.0/24', gateway: '10.5.0.1', addressFrom: '10.5.0.2', addressTo: '10.5.0.254' },
    prefix6: null,
    domain: 'dev.internal',
    uplink: 'nat',
    mtu: 1450,
    createdAt: '2026-03-01T11:00:00.000Z',
    vmNames: ['web'],
    hostNames: ['node1'],
    ...changes,
  }
}
