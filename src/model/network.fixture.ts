/** Networks for tests. */
import { networkIdSchema } from './ids.ts'
import type { VirtualNetwork } from './network.ts'

/** A VXLAN without an uplink, with the addresses 10.5.0.0/24 whatever its number is. */
export function makeNetwork(name: string, number: number, changes: Partial<VirtualNetwork> = {}): VirtualNetwork {
  return {
    id: networkIdSchema.parse(`net-${name.padEnd(8, 'x').slice(0, 8)}`),
    name,
    number,
    segment: { kind: 'vxlan', vni: 999 + number },
    pool: { subnet: '10.5.0.0/24', gateway: '10.5.0.1', addressFrom: '10.5.0.2', addressTo: '10.5.0.9' },
    prefix6: null,
    domain: `${name}.internal`,
    uplink: 'none',
    mtu: 1450,
    createdAt: '2026-01-01T00:00:00.000Z',
    ...changes,
  }
}
