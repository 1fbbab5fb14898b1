/**
 * A snapshot: a point of one VM that its owner can return to. Its disks are layers that nothing writes to any more; with memory there is an
 * image of the same instant. The cluster keeps it as a record; the storages keep the same beside the disks, so that they know by themselves
 * which layers are needed, and so that whoever finds the disks finds the snapshots.
 */
import { z } from 'zod'
import { pinnedHardwareSchema } from '../hardware.ts'
import {
  imageIdSchema,
  layerIdSchema,
  nameSchema,
  snapshotIdSchema,
  storageIdSchema,
  vmIdSchema,
  volumeIdSchema,
} from '../ids.ts'

/** `disk`: what is on the disks. `memory`: memory, devices and disks of one instant. */
export const snapshotKindSchema = z.enum(['disk', 'memory'])
export type SnapshotKind = z.infer<typeof snapshotKindSchema>

/**
 * What somebody finds who returns to it. `crash`: the disks as after a power cut. `guest-frozen`: the guest had its file systems in order.
 * `stopped`: the machine was off. `memory`: it goes on from that instant.
 */
export const consistencySchema = z.enum(['crash', 'guest-frozen', 'stopped', 'memory'])
export type Consistency = z.infer<typeof consistencySchema>

/** Who wanted it. `before-revert`: the present that a return to another one would have thrown away. `clone`: what a clone begins with, until it is made. */
export const snapshotOriginSchema = z.enum(['user', 'schedule', 'change', 'before-revert', 'clone'])
export type SnapshotOrigin = z.infer<typeof snapshotOriginSchema>

export const snapshotDiskSchema = z.object({
  volumeId: volumeIdSchema,
  storageId: storageIdSchema,
  layerId: layerIdSchema.nullable(),
  sizeMiB: z.number().int().min(1),
})
export type SnapshotDisk = z.infer<typeof snapshotDiskSchema>

export const snapshotNoteSchema = z.string().max(500)

export const snapshotSchema = z.object({
  formatVersion: z.literal(1),
  id: snapshotIdSchema,
  vmId: vmIdSchema,
  name: nameSchema,
  note: snapshotNoteSchema,
  kind: snapshotKindSchema,
  consistency: consistencySchema,
  /** The snapshot that the machine's state descended from at that instant. */
  parentId: snapshotIdSchema.nullable(),
  /** All disks of the machine, root first. */
  disks: z.array(snapshotDiskSchema).min(1),
  imageId: imageIdSchema.nullable(),
  /** What the machine was at that instant. */
  machine: z.object({
    name: nameSchema,
    cpus: z.number().int().min(1),
    memoryMiB: z.number().int().min(1),
    hardware: pinnedHardwareSchema,
    templateVersion: z.string(),
  }),
  wasRunning: z.boolean(),
  /** By the clock of its host. */
  takenAt: z.iso.datetime(),
  /** How long the machine stood still for it. */
  pauseMs: z.number(),
  origin: snapshotOriginSchema,
  /** Shared by the snapshots of several machines that were taken at one instant. */
  setId: z.string().nullable(),
  /** Not deleted until this is taken back. */
  isProtected: z.boolean(),
})
export type Snapshot = z.infer<typeof snapshotSchema>

/** What is known of a snapshot before it is taken. */
export const snapshotWishSchema = snapshotSchema
  .pick({ id: true, name: true, note: true, kind: true, parentId: true, origin: true, setId: true, isProtected: true })
  .extend({
    /** Sizes of the machine's disks, in its order. */
    sizesMiB: z.array(z.number().int().min(1)).min(1),
    /** Whether the guest's file systems are put in order first. `if-able`: when the guest's agent can. */
    freeze: z.enum(['if-able', 'required', 'never']),
  })
export type SnapshotWish = z.infer<typeof snapshotWishSchema>

/** So many snapshots may lie in a row, each the parent of the next. */
export const longestChain = 32
