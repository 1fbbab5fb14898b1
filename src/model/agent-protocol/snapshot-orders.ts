/** What the leader orders of agents about snapshots. All are safe to repeat: each is known by the id of the snapshot, or of the task. */
import { z } from 'zod'
import type { Contract } from '../api/route.ts'
import { layerIdSchema, snapshotIdSchema, taskIdSchema, vmIdSchema, volumeIdSchema } from '../ids.ts'
import { machineLifeSchema, machineOrderSchema, orderAuthoritySchema } from '../machine-order.ts'
import { snapshotDiskSchema, snapshotSchema, snapshotWishSchema } from '../snapshots/snapshot.ts'

const vmParams = z.object({ vmId: vmIdSchema })
const snapshotParams = z.object({ snapshotId: snapshotIdSchema })
const epoch = z.number().int().min(1)
const head = { authority: orderAuthoritySchema, epoch }
const waitMs = z.number().int().min(0).max(10_000)

export const snapshotReportSchema = z.object({
  /** Null while it is being taken. */
  snapshot: snapshotSchema.nullable(),
  /** How far it is: a sentence. */
  detail: z.string(),
})
export type SnapshotReport = z.infer<typeof snapshotReportSchema>

/** What is to be known of a snapshot to remove it, also of one whose taking broke off: where it lies. */
export const snapshotPlaceSchema = snapshotSchema
  .pick({ id: true, vmId: true })
  .extend({ disks: z.array(snapshotDiskSchema.pick({ volumeId: true, storageId: true })).min(1) })
export type SnapshotPlace = z.infer<typeof snapshotPlaceSchema>

export const tidyReportSchema = z.object({ isDone: z.boolean(), detail: z.string() })
export type TidyReport = z.infer<typeof tidyReportSchema>

export const revertedSchema = z.object({
  how: z.enum(['resumed', 'booted']),
  /** Why it was booted where it was to be resumed; empty when all went as wished. */
  detail: z.string(),
})
export type Reverted = z.infer<typeof revertedSchema>

export const guestOutputSchema = z.object({ exitCode: z.number().int(), output: z.string() })
export type GuestOutput = z.infer<typeof guestOutputSchema>

/** Of a machine that runs nowhere: who works on its disks claims them first, under an epoch of their own. */
const closed = {
  authority: orderAuthoritySchema,
  machine: machineOrderSchema,
  /** Null for a machine that was never started: nobody has ever claimed its disks. */
  life: machineLifeSchema.nullable(),
  /** The new layer of each disk. */
  overlays: z.array(z.object({ volumeId: volumeIdSchema, layerId: layerIdSchema })),
}

export const snapshotOrders = {
  snapshotMachine: {
    method: 'PUT',
    path: '/agent/v1/machines/:vmId/snapshots/:snapshotId',
    role: 'host',
    summary: 'Takes a snapshot of a machine that has a process here, unless it was begun before; tells how it stands.',
    params: vmParams.extend(snapshotParams.shape),
    body: z.object({ ...head, wish: snapshotWishSchema, waitMs }),
    response: snapshotReportSchema,
  },
  holdMachine: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/hold',
    role: 'host',
    summary: 'Lets it stand still until its snapshot is taken, it is let go, or this time has passed.',
    params: vmParams,
    body: z.object({ ...head, forMs: z.number().int().min(0).max(10_000) }),
    /** Whether it stood still until it was let go, and not until the time had passed. */
    response: z.object({ isHeld: z.boolean() }),
  },
  snapshotDisks: {
    method: 'PUT',
    path: '/agent/v1/snapshots/:snapshotId',
    role: 'host',
    summary: 'Takes a snapshot of the disks of a machine that runs nowhere.',
    params: snapshotParams,
    body: z.object({ ...closed, wish: snapshotWishSchema }),
    response: z.object({ snapshot: snapshotSchema }),
  },
  removeSnapshot: {
    method: 'POST',
    path: '/agent/v1/snapshots/:snapshotId/remove',
    role: 'host',
    summary: 'Removes a snapshot and its image; its layers are let go of.',
    params: snapshotParams,
    body: z.object({ authority: orderAuthoritySchema, snapshot: snapshotPlaceSchema }),
    response: z.object({}),
  },
  tidyMachine: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/tidy',
    role: 'host',
    summary: 'Merges what nothing needs of the layers of a machine that runs here; tells how far it is.',
    params: vmParams,
    body: z.object({ ...head, waitMs, isCalledOff: z.boolean().default(false) }),
    response: tidyReportSchema,
  },
  tidyDisks: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/tidy-disks',
    role: 'host',
    summary: 'Merges what nothing needs of the layers of a machine that runs nowhere.',
    params: vmParams,
    body: z.object({
      authority: orderAuthoritySchema,
      machine: machineOrderSchema,
      life: machineLifeSchema.nullable(),
    }),
    response: z.object({}),
  },
  revertMachine: {
    method: 'PUT',
    path: '/agent/v1/machines/:vmId/reverts/:taskId',
    role: 'host',
    summary: 'Ends a machine that runs here and lets it go on from a snapshot, unless this was done before.',
    params: vmParams.extend({ taskId: taskIdSchema }),
    body: z.object({ ...head, snapshot: snapshotSchema, isPlanned: z.boolean() }),
    response: revertedSchema,
  },
  revertDisks: {
    method: 'PUT',
    path: '/agent/v1/machines/:vmId/reverted-disks',
    role: 'host',
    summary: 'Lets the disks of a machine that runs nowhere be what they were in a snapshot.',
    params: vmParams,
    body: z.object({ ...closed, snapshot: snapshotSchema }),
    response: z.object({}),
  },
  measureMachine: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/measure',
    role: 'host',
    summary: 'Tells what was written to its disks since they last got a new layer.',
    params: vmParams,
    body: z.object(head),
    response: z.object({ writtenMiB: z.number().int() }),
  },
  runInGuest: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/run',
    role: 'host',
    summary: 'Runs a program in the guest to its end.',
    params: vmParams,
    body: z.object({
      ...head,
      command: z.array(z.string()).min(1).max(64),
      timeoutMs: z.number().int().min(1).max(60_000),
    }),
    response: guestOutputSchema,
  },
} as const satisfies Contract
