import { z } from 'zod'
import { ipv4AddressSchema, maximumNics } from '../hardware.ts'
import { nameSchema } from '../ids.ts'
import { domainSchema, networkSchema, prefix6Schema, uplinkSchema, virtualSegmentSchema } from '../network.ts'
import type { Contract } from './route.ts'
import { taskViewSchema, vmNicViewSchema, vmViewSchema } from './views.ts'

const referenceSchema = z.string().min(1).max(64)
const networkParams = z.object({ network: referenceSchema })
const vmParams = z.object({ vm: referenceSchema })

export const networkViewSchema = z.object({
  ...networkSchema.shape,
  vmNames: z.array(z.string()),
  /** Where its devices are: hosts on which a machine of it is, or would go. */
  hostNames: z.array(z.string()),
})
export type NetworkView = z.infer<typeof networkViewSchema>

/** A card: the network by name or id, and the address, which is assigned when it is left out. */
export const nicWishSchema = z.strictObject({ network: referenceSchema, address: ipv4AddressSchema.optional() })
export const nicWishesSchema = z.array(nicWishSchema).max(maximumNics).optional()

const [vxlan, vlan] = virtualSegmentSchema.options

export const createNetworkSchema = z.strictObject({
  name: nameSchema,
  kind: z.enum(['vxlan', 'vlan']).default('vxlan'),
  vni: vxlan.shape.vni.optional(),
  vlanId: vlan.shape.vlanId.optional(),
  interface: vlan.shape.interface.optional(),
  subnet: z.cidrv4(),
  /** The router's address, on every host; the first of the subnet. */
  gateway: ipv4AddressSchema.optional(),
  addressFrom: ipv4AddressSchema.optional(),
  addressTo: ipv4AddressSchema.optional(),
  prefix6: prefix6Schema.optional(),
  domain: domainSchema.optional(),
  uplink: uplinkSchema.default('none'),
  mtu: networkSchema.shape.mtu.optional(),
})

export const networkRoutes = {
  listNetworks: {
    method: 'GET',
    path: '/v1/networks',
    role: 'viewer',
    summary: 'All networks, the flat one first.',
    response: z.object({ networks: z.array(networkViewSchema) }),
  },
  getNetwork: {
    method: 'GET',
    path: '/v1/networks/:network',
    role: 'viewer',
    summary: 'One network.',
    params: networkParams,
    response: networkViewSchema,
  },
  createNetwork: {
    method: 'POST',
    path: '/v1/networks',
    role: 'administrator',
    summary: 'Makes a network of its own over all hosts.',
    body: createNetworkSchema,
    response: networkViewSchema,
    status: 201,
  },
  deleteNetwork: {
    method: 'DELETE',
    path: '/v1/networks/:network',
    role: 'administrator',
    summary: 'Deletes a network that no VM has a card in.',
    params: networkParams,
    response: networkViewSchema,
  },
  listNics: {
    method: 'GET',
    path: '/v1/vms/:vm/nics',
    role: 'viewer',
    summary: 'The network cards of a VM.',
    params: vmParams,
    response: z.object({ nics: z.array(vmNicViewSchema) }),
  },
  addNic: {
    method: 'POST',
    path: '/v1/vms/:vm/nics',
    role: 'operator',
    summary: 'Gives a VM one more network card, while it runs or is stopped.',
    params: vmParams,
    body: nicWishSchema,
    response: vmViewSchema,
  },
  removeNic: {
    method: 'DELETE',
    path: '/v1/vms/:vm/nics/:nic',
    role: 'operator',
    summary: 'Takes a network card out of a VM, while it runs or is stopped: by its number or its network.',
    params: z.object({ vm: referenceSchema, nic: referenceSchema }),
    response: z.object({ vm: vmViewSchema, task: taskViewSchema }),
    status: 202,
  },
} as const satisfies Contract
