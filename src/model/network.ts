/**
 * Networks that VMs are on. The *flat* one is the hosts' own segment: machines share a layer 2 with their hosts. The others are segments
 * of their own, joined over the hosts by VXLAN or VLAN; their addresses may be those of another network.
 */
import { z } from 'zod'
import { type NetworkSpec, networkSpecSchema } from './cluster.ts'
import { ipv4AddressSchema, macAddressSchema, nicNumberSchema } from './hardware.ts'
import { flatNetworkId, nameSchema, networkIdSchema } from './ids.ts'

export const flatNetworkName = 'flat'

/** What guests take for granted. */
export const usualMtu = 1500

/** What VXLAN adds to a frame on IPv4: such a network's MTU is at most the underlay's less this. */
export const vxlanOverheadBytes = 50

const flatSegmentSchema = z.strictObject({ kind: z.literal('flat') })
const vxlanSegmentSchema = z.strictObject({ kind: z.literal('vxlan'), vni: z.number().int().min(1).max(16_777_215) })
const vlanSegmentSchema = z.strictObject({
  kind: z.literal('vlan'),
  vlanId: z.number().int().min(1).max(4094),
  /** The hosts' interface that carries the VLAN; the same name on every host. */
  interface: z.string().regex(/^[A-Za-z0-9_.-]{1,15}$/, 'must be the name of a network interface'),
})
export const virtualSegmentKindSchema = z.enum(['vxlan', 'vlan'])
export const virtualSegmentSchema = z.discriminatedUnion('kind', [vxlanSegmentSchema, vlanSegmentSchema])
export const segmentSchema = z.discriminatedUnion('kind', [flatSegmentSchema, vxlanSegmentSchema, vlanSegmentSchema])
export type Segment = z.infer<typeof segmentSchema>

/**
 * How machines reach what is outside of their network. `none`: not at all. `nat`: with their host's address. `routed`: with their own; each
 * host routes its machines' addresses, and the routers outside have to know the way.
 */
export const uplinkSchema = z.enum(['none', 'routed', 'nat'])
export type Uplink = z.infer<typeof uplinkSchema>

/** An IPv6 prefix of 64 bits, such as fd00:5::/64; machines make their addresses from it and their MAC. */
export const prefix6Schema = z.cidrv6().regex(/\/64$/, 'must be 64 bits long, like fd00:5::/64')
export const domainSchema = z
  .string()
  .max(100)
  .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/, 'must be a domain like dev.internal')

/** No network has this number: hosts would ask its machines from the address at which machines ask who they are. */
export const numberOfMetadata = 10_750

export const virtualNetworkSchema = z.object({
  id: networkIdSchema,
  name: nameSchema,
  /** Small, unique among networks: names of devices on the hosts derive from it. */
  number: z.number().int().min(1).max(16_383),
  segment: virtualSegmentSchema,
  pool: networkSpecSchema,
  prefix6: prefix6Schema.nullable(),
  domain: domainSchema,
  uplink: uplinkSchema,
  mtu: z.number().int().min(1280).max(9000),
  createdAt: z.iso.datetime(),
})
export type VirtualNetwork = z.infer<typeof virtualNetworkSchema>

/** Any network, the flat one included. */
export const networkSchema = z.object({
  ...virtualNetworkSchema.shape,
  number: z.number().int().min(0),
  segment: segmentSchema,
  domain: z.string(),
  createdAt: z.iso.datetime().nullable(),
})
export type Network = z.infer<typeof networkSchema>

/** A network card of a VM. MAC and addresses belong to the VM and travel with it. */
export const vmNicSchema = z.object({
  number: nicNumberSchema,
  networkId: networkIdSchema,
  macAddress: macAddressSchema,
  address: ipv4AddressSchema,
  /** What the machine makes of the network's prefix and its MAC (EUI-64); null where the network has no prefix. */
  address6: z.ipv6().nullable(),
  /** What the guest is told of the largest frame; null where it is the usual one. */
  mtu: z.number().int().nullable(),
  /** It is to be taken out, or was. */
  isDetached: z.boolean().optional(),
})
export type VmNic = z.infer<typeof vmNicSchema>

type Cards = { readonly macAddress: string; readonly address: string; readonly nics: readonly VmNic[] }

/** A VM's cards, the first one first. A VM of before there were several networks has one, in the flat network. */
export function nicsOf({ nics, macAddress, address }: Cards): readonly VmNic[] {
  if (nics.length > 0) return nics
  return [{ number: 0, networkId: flatNetworkId, macAddress, address, address6: null, mtu: null }]
}

/** The fields of a VM that say its cards: `macAddress` and `address` are the first one's. */
export function cardFields(
  first: VmNic,
  more: readonly VmNic[],
): { macAddress: string; address: string; nics: VmNic[] } {
  return { macAddress: first.macAddress, address: first.address, nics: [first, ...more] }
}

/** All networks, the flat one first, as far as its addresses are set. */
export function networksOf(cluster: {
  readonly network: NetworkSpec | undefined
  readonly networks: ReadonlyMap<string, VirtualNetwork>
}): readonly Network[] {
  const virtual = [...cluster.networks.values()]
  return cluster.network === undefined ? virtual : [flatNetwork(cluster.network), ...virtual]
}

function flatNetwork(pool: NetworkSpec): Network {
  return {
    id: flatNetworkId,
    name: flatNetworkName,
    number: 0,
    segment: { kind: 'flat' },
    pool,
    prefix6: null,
    domain: '',
    uplink: 'routed',
    mtu: usualMtu,
    createdAt: null,
  }
}
