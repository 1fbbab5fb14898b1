/** A host: who it is (`spec`), and how the leader sees it (`status`; only transitions are stored, heartbeats are not). */
import { z } from 'zod'
import { firewallKindSchema } from './firewall.ts'
import { guestSupportSchema } from './guest.ts'
import { acceleratorSchema } from './hardware.ts'
import { hostIdSchema, nameSchema, sessionIdSchema, storageIdSchema, vmIdSchema } from './ids.ts'
import { labelsSchema } from './labels.ts'
import { virtualSegmentKindSchema } from './network.ts'
import { proofSchema } from './proof.ts'

export const fenceConfigurationSchema = z.object({
  /** A fence agent (ClusterLabs calling convention): absolute path, or a name looked for in /usr/sbin. */
  agent: z.string().regex(/^(?:\/[\w./-]+|fence_[a-z0-9_]+)$/),
  parameters: z.record(z.string().regex(/^[a-z_]+$/), z.string().regex(/^[^\n]*$/)),
})
export type FenceConfiguration = z.infer<typeof fenceConfigurationSchema>

/** A host that is to be empty: it takes no machines. Whether it is silent or fenced is another matter, and goes on as ever. */
export const maintenanceSchema = z.object({
  since: z.iso.datetime(),
  user: z.string(),
  /** Machines that were stopped for it, and start again when it ends. */
  stoppedVmIds: z.array(vmIdSchema),
})
export type Maintenance = z.infer<typeof maintenanceSchema>

export const hostSpecSchema = z.object({
  id: hostIdSchema,
  name: nameSchema,
  /** Small number, unique in the cluster: its slot on every shared storage. */
  number: z.number().int().min(1).max(4095),
  /** Address and port of its agent on the underlay. */
  address: z.string(),
  port: z.number().int(),
  joinedAt: z.iso.datetime(),
  fence: fenceConfigurationSchema.nullable(),
  labels: labelsSchema.default({}),
  maintenance: maintenanceSchema.nullable().default(null),
})
export type HostSpec = z.infer<typeof hostSpecSchema>

/** `hard`: a hardware watchdog resets it. `soft`: a kernel timer kills. `none`: a lease proves nothing there. */
export const armedSchema = z.enum(['hard', 'soft', 'none'])
export type Armed = z.infer<typeof armedSchema>

/** `deaf`: it is heard, but no answer and no order reaches it. */
export const hostStateSchema = z.enum(['online', 'deaf', 'suspect', 'fenced', 'maintenance', 'offline'])
export type HostState = z.infer<typeof hostStateSchema>

/** A fencing that has begun: from then on the host gets no acknowledgement until it has let go of what it held. */
export const fencingSchema = z.object({
  generation: z.number().int().min(1),
  term: z.number().int(),
  startedAt: z.iso.datetime(),
  reason: z.string(),
})

/** Kinds of networks of their own that can't be on a host, each with the reason. */
export const networkFaultsSchema = z.partialRecord(virtualSegmentKindSchema, z.string())
export type NetworkFaults = z.infer<typeof networkFaultsSchema>

export const hostStatusSchema = z.object({
  state: hostStateSchema,
  since: z.iso.datetime(),
  detail: z.string(),
  session: sessionIdSchema.nullable(),
  /** The number of the newest agent that was heard. */
  agentLife: z.number().int().default(0),
  bootId: z.string().nullable(),
  armed: armedSchema,
  cpus: z.number().int(),
  memoryMiB: z.number().int(),
  accelerator: acceleratorSchema.nullable(),
  qemuVersion: z.string().nullable(),
  machineType: z.string().nullable(),
  cpuModel: z.string().nullable(),
  /** How it keeps machines to their addresses, and whether it can keep security groups. */
  firewall: firewallKindSchema.default('none'),
  firewallDetail: z.string().default(''),
  /** What some guests need of a host. */
  guestSupport: z.array(guestSupportSchema).default([]),
  networkFaults: networkFaultsSchema.default({}),
  storageIds: z.array(storageIdSchema),
  /** What was free on them when that was last much different. */
  storageRoom: z.array(z.object({ storageId: storageIdSchema, freeMiB: z.number().int() })).default([]),
  fencing: fencingSchema.nullable(),
  /** Why all machines that a fence reaches are dead there; null unless `fenced`. */
  proof: proofSchema.nullable(),
})
export type HostStatus = z.infer<typeof hostStatusSchema>
