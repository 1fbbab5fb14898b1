/** What an agent tells the leader several times a second, and what it hears back. Heartbeats are never stored; only transitions are. */
import { z } from 'zod'
import { networkSpecSchema } from '../cluster.ts'
import { firewallKindSchema, hostFirewallSchema, openFirewall } from '../firewall.ts'
import { guestSupportSchema } from '../guest.ts'
import { acceleratorSchema } from '../hardware.ts'
import { armedSchema, networkFaultsSchema } from '../host.ts'
import { hostIdSchema, imageIdSchema, sessionIdSchema, storageIdSchema, vmIdSchema } from '../ids.ts'
import { numberedRecordSchema } from '../recovery/recovery-record.ts'
import { timingsSchema } from '../timings.ts'
import { machineReportSchema } from '../vm.ts'
import { hostNetworkSchema } from './host-network.ts'

export const hostFactsSchema = z.object({
  cpus: z.number().int(),
  memoryMiB: z.number().int(),
  accelerator: acceleratorSchema,
  qemuVersion: z.string(),
  machineType: z.string(),
  cpuModel: z.string(),
  firewall: firewallKindSchema.default('none'),
  /** How it filters, or why it can't. */
  firewallDetail: z.string().default(''),
  guestSupport: z.array(guestSupportSchema).default([]),
  networkFaults: networkFaultsSchema.default({}),
})
export type HostFacts = z.infer<typeof hostFactsSchema>

/** A machine that this host would take over: its image, and whether a process waits for it. */
export const standbyReportSchema = z.object({
  vmId: vmIdSchema,
  imageId: imageIdSchema,
  state: z.enum(['fetching', 'placed', 'ready', 'failed']),
  detail: z.string(),
})
export type StandbyReport = z.infer<typeof standbyReportSchema>

export const heartbeatSchema = z.object({
  session: sessionIdSchema,
  /** Which agent of this host speaks: each has a higher number than those before it, over boots as well. */
  agentLife: z.number().int().min(0).default(0),
  bootId: z.string(),
  /** Grows by one with each heartbeat of a session. */
  sequence: z.number().int().min(0),
  /** How many before this one had no answer in time, in a row. */
  unanswered: z.number().int().min(0).default(0),
  armed: armedSchema,
  facts: hostFactsSchema,
  /** Every machine this agent holds, in whatever phase. */
  machines: z.array(machineReportSchema),
  /** Starts whose claim stands and whose machine waits, paused, for a word that its epoch is still the owner's. */
  pendingStarts: z.array(z.object({ vmId: vmIdSchema, epoch: z.number().int() })),
  storages: z.array(
    z.object({
      storageId: storageIdSchema,
      /** Age of the last good probe. */ probeAgeMs: z.number().nullable(),
      pill: z.boolean(),
      /** Null until it was looked at. */
      freeMiB: z.number().int().nullable().default(null),
    }),
  ),
  standbys: z.array(standbyReportSchema),
  /** What was seen of failures and recoveries and is not stored by the leader yet: the oldest, a bounded number. */
  records: z.array(numberedRecordSchema).max(100),
  configurationRevision: z.number().int(),
  highestKnownRevision: z.number().int(),
  highestKnownEpoch: z.number().int(),
  /** The newest leader's term that an order came with: an older one is void here. */
  highestKnownTerm: z.number().int().default(0),
  storeIncarnation: z.string().nullable(),
})
export type Heartbeat = z.infer<typeof heartbeatSchema>

/** What every agent has to know of the cluster; sent when the agent's revision of it is another. */
export const agentConfigurationSchema = z.object({
  revision: z.number().int(),
  clusterId: z.uuid(),
  timings: timingsSchema,
  network: networkSpecSchema.nullable(),
  storages: z.array(
    z.object({
      storageId: storageIdSchema,
      name: z.string(),
      kind: z.literal('directory'),
      path: z.string(),
      shared: z.boolean(),
      slot: z.number().int(),
    }),
  ),
  /** What its machines may send and be sent. */
  firewall: hostFirewallSchema.default(openFirewall),
  /** What this host has to have, besides the flat network. */
  networks: z.array(hostNetworkSchema).default([]),
})
export type AgentConfiguration = z.infer<typeof agentConfigurationSchema>

export const acknowledgementSchema = z.object({
  hostId: hostIdSchema,
  term: z.number().int(),
  sequence: z.number().int(),
  storeIncarnation: z.string(),
  storeRevision: z.number().int(),
  /**
   * `admitted`: the lease is extended. `fenced`: it is not; kill every leased machine and report that. `hold`: it is not, and nothing else
   * follows (the controller is starting, or does not know this session yet).
   */
  verdict: z.enum(['admitted', 'fenced', 'hold']),
  reason: z.string(),
  /** Of the pending starts: those whose epoch is the current owner's. The others are to be undone. */
  confirmedStarts: z.array(z.object({ vmId: vmIdSchema, epoch: z.number().int() })),
  /** Records of this session up to this number are stored. */
  recordsStoredUpTo: z.number().int(),
  configuration: agentConfigurationSchema.nullable(),
})
export type Acknowledgement = z.infer<typeof acknowledgementSchema>
