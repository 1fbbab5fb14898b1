/** A network as one host has to realise it: planned by the leader, part of the agent's configuration. */
import { z } from 'zod'
import { ipv4AddressSchema, macAddressSchema } from '../hardware.ts'
import { nameSchema, networkIdSchema } from '../ids.ts'
import { domainSchema, prefix6Schema, uplinkSchema, virtualSegmentSchema } from '../network.ts'

export const hostNetworkSchema = z.object({
  networkId: networkIdSchema,
  name: nameSchema,
  number: z.number().int().min(1),
  segment: virtualSegmentSchema,
  mtu: z.number().int(),
  /** This host's own address in the underlay. */
  localAddress: z.string(),
  /** Addresses of the other hosts that have this network: what nobody is known for goes to each of them. */
  peers: z.array(z.string()),
  /** Machines of other hosts, and where they are. */
  forwarding: z.array(z.object({ macAddress: macAddressSchema, hostAddress: z.string() })),
  subnet: z.cidrv4(),
  /** The address of the network's router, which is on every host. */
  gateway: ipv4AddressSchema,
  prefix6: prefix6Schema.nullable(),
  domain: domainSchema,
  uplink: uplinkSchema,
  /** What DNS answers: every machine of the network, wherever it is. */
  names: z.array(z.object({ name: nameSchema, address: ipv4AddressSchema, address6: z.ipv6().nullable() })),
})
export type HostNetwork = z.infer<typeof hostNetworkSchema>
