/** What an agent is told to run: a VM resolved to files, cards and addresses on that host. It carries no decision, only facts. */
import { z } from 'zod'
import { cloudInitSchema } from './cloud-init.ts'
import { growthSchema, limitsSchema, noLimits } from './growth.ts'
import { guestSchema, kernelGuest } from './guest.ts'
import { ipv4AddressSchema, macAddressSchema, nicNumberSchema, pinnedHardwareSchema } from './hardware.ts'
import {
  flatNetworkId,
  imageIdSchema,
  nameSchema,
  networkIdSchema,
  sessionIdSchema,
  storageIdSchema,
  vmIdSchema,
  volumeIdSchema,
} from './ids.ts'
import { cdromsSchema } from './iso.ts'
import { probeSchema } from './recovery/probe.ts'
import { recoverySchema } from './recovery/recovery-policy.ts'

export const diskFormatSchema = z.enum(['qcow2', 'raw'])
export type DiskFormat = z.infer<typeof diskFormatSchema>

export const machineDiskSchema = z.object({
  volumeId: volumeIdSchema,
  storageId: storageIdSchema,
  format: diskFormatSchema,
  /** As large as this, or it grows while the machine runs; as it is when left out. */
  sizeMiB: z.number().int().optional(),
  /** The machine's, but not in it. */
  isDetached: z.boolean().optional(),
})
export type MachineDisk = z.infer<typeof machineDiskSchema>

export const machineNicSchema = z.object({
  macAddress: macAddressSchema,
  address: ipv4AddressSchema,
  address6: z.ipv6().nullable().default(null),
  networkId: networkIdSchema.default(flatNetworkId),
  /** The card tells its guest so; null: the usual one. */
  mtu: z.number().int().nullable().default(null),
})
export type MachineNic = z.infer<typeof machineNicSchema>

/**
 * How a machine is started. `resume`: from its newest memory image if there is one that fits, else by booting. `clone`: from the image that
 * it is cloned from, as a new machine with names, keys and addresses of its own; never by booting.
 */
export const startKindSchema = z.enum(['boot', 'resume', 'clone'])
export type StartKind = z.infer<typeof startKindSchema>

/** What a machine's process began with, and got since, where that is not what the order says: its guest sees it until the next start. */
export const presentShapeSchema = z.object({
  cpus: z.number().int().min(1),
  /** What it began with: what was plugged in since is no part of it. */
  memoryMiB: z.number().int().min(1),
  growth: growthSchema.nullable(),
  /** The disks that it began with. */
  volumeIds: z.array(volumeIdSchema),
  /** Its cards after the first one; `port`: behind which port it was plugged in, null for one of its start. */
  cards: z.array(z.object({ number: nicNumberSchema, port: z.number().int().min(0).nullable() })),
})
export type PresentShape = z.infer<typeof presentShapeSchema>

/** The memory image that a clone begins with: it lies beside the root volume of the machine that it was captured from. */
export const cloneOriginSchema = z.object({
  imageId: imageIdSchema,
  volumeId: volumeIdSchema,
  storageId: storageIdSchema,
})
export type CloneOrigin = z.infer<typeof cloneOriginSchema>

export const machineOrderSchema = z.object({
  vmId: vmIdSchema,
  name: nameSchema,
  /** Small number, unique among living VMs: user id, tap name and MAC derive from it. */
  number: z.number().int().min(1).max(65535),
  hardware: pinnedHardwareSchema,
  cpus: z.number().int().min(1).max(64),
  memoryMiB: z.number().int().min(16),
  nic: machineNicSchema,
  /** The first is the root disk. */
  disks: z.array(machineDiskSchema).min(1),
  /** Version hash of the template whose kernel boots the machine. */
  templateVersion: z.string(),
  /** Appended to the template's kernel command line. */
  extraCommandLine: z.string().max(500),
  /** The VM generation id: new whenever the machine must not repeat its past. */
  generationId: z.uuid(),
  /** True for a machine with HA on shared storage: it runs only while the host has a licence for it, and a lease may kill it. */
  leased: z.boolean(),
  recovery: recoverySchema,
  probe: probeSchema.nullable(),
  start: startKindSchema,
  clonedFrom: cloneOriginSchema.nullable(),
  /** Its disks begin as another machine's: its guest is told that it is a new one as soon as it is up. */
  isUntoldClone: z.boolean().default(false),
  /** The image that a start by `resume` goes on from; null: its newest. */
  resumesFrom: imageIdSchema.nullable().default(null),
  /** Its further cards, each in another network. */
  moreNics: z
    .array(
      z.object({
        ...machineNicSchema.shape,
        number: nicNumberSchema.min(1),
        isDetached: z.boolean().optional(),
      }),
    )
    .default([]),
  guest: guestSchema.default(kernelGuest),
  cdroms: cdromsSchema.default([]),
  cloudInit: cloudInitSchema.nullable().default(null),
  /** How far it can grow while it runs; null: not at all. */
  growth: growthSchema.nullable().default(null),
  limits: limitsSchema.default(noLimits),
  /** Null: its process is, or will be, what the rest of this says. */
  present: presentShapeSchema.nullable().default(null),
})
export type MachineOrder = z.infer<typeof machineOrderSchema>

/** Which life of which machine. A higher epoch makes every lower one void; incarnations are restarts on the spot within one epoch. */
export const machineLifeSchema = z.object({
  vmId: vmIdSchema,
  epoch: z.number().int().min(1),
  incarnation: z.number().int().min(0),
})
export type MachineLife = z.infer<typeof machineLifeSchema>

/** What makes an order valid: the leader's term and the agent's session. An older term or another session voids it. */
export const orderAuthoritySchema = z.object({ term: z.number().int().min(1), session: sessionIdSchema })
export type OrderAuthority = z.infer<typeof orderAuthoritySchema>
