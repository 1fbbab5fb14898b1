/** Snapshots of VMs over the API, and changes under their safety net. */
import { z } from 'zod'
import { nameSchema } from '../ids.ts'
import { snapshotKindSchema, snapshotNoteSchema, snapshotSchema, snapshotWishSchema } from '../snapshots/snapshot.ts'
import { snapshotScheduleSchema } from '../snapshots/snapshot-schedule.ts'
import { changeCheckSchema, vmChangeSchema } from '../snapshots/vm-change.ts'
import type { Contract } from './route.ts'
import { taskViewSchema, vmViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

const vmParams = z.object({ vm: referenceSchema })
const snapshotParams = vmParams.extend({ snapshot: referenceSchema })
const begun = z.object({ vm: vmViewSchema, task: taskViewSchema })

export const snapshotViewSchema = snapshotSchema.extend({
  vmName: z.string(),
  parentName: z.string().nullable(),
  /** The present descends from it. */
  isHere: z.boolean(),
})
export type SnapshotView = z.infer<typeof snapshotViewSchema>

export const snapshotListSchema = z.object({
  vmName: z.string(),
  /** Oldest first. */
  snapshots: z.array(snapshotViewSchema),
  schedule: snapshotScheduleSchema.nullable(),
})
export type SnapshotList = z.infer<typeof snapshotListSchema>

const wish = {
  name: nameSchema,
  note: snapshotNoteSchema.default(''),
  /** With memory where it runs and can be resumed, when left out. */
  kind: snapshotKindSchema.optional(),
  freeze: snapshotWishSchema.shape.freeze.default('if-able'),
  protected: z.boolean().default(false),
}

export const changeViewSchema = z.object({
  /** Null when none is open. */
  change: vmChangeSchema.nullable(),
  snapshotName: z.string().nullable(),
})

export const snapshotRoutes = {
  listSnapshots: {
    method: 'GET',
    path: '/v1/vms/:vm/snapshots',
    role: 'viewer',
    summary: 'The snapshots of a VM, and its schedule.',
    params: vmParams,
    response: snapshotListSchema,
  },
  createSnapshot: {
    method: 'POST',
    path: '/v1/vms/:vm/snapshots',
    role: 'operator',
    summary: 'Takes a snapshot of a VM, which runs on.',
    params: vmParams,
    body: z.strictObject(wish),
    response: begun,
    status: 202,
  },
  createSnapshotSet: {
    method: 'POST',
    path: '/v1/snapshot-sets',
    role: 'operator',
    summary: 'Takes snapshots of several running VMs at one instant.',
    body: z.strictObject({ ...wish, vms: z.array(referenceSchema).min(2).max(16) }),
    response: z.object({ task: taskViewSchema }),
    status: 202,
  },
  getSnapshot: {
    method: 'GET',
    path: '/v1/vms/:vm/snapshots/:snapshot',
    role: 'viewer',
    summary: 'One snapshot.',
    params: snapshotParams,
    response: snapshotViewSchema.extend({
      /** What a return to it would do about each difference to the present: sentences. */
      differences: z.array(z.string()),
    }),
  },
  changeSnapshot: {
    method: 'PATCH',
    path: '/v1/vms/:vm/snapshots/:snapshot',
    role: 'operator',
    summary: 'Protects it or takes that back; changes its note.',
    params: snapshotParams,
    body: z.strictObject({ protected: z.boolean().optional(), note: snapshotNoteSchema.optional() }),
    response: snapshotViewSchema,
  },
  deleteSnapshot: {
    method: 'DELETE',
    path: '/v1/vms/:vm/snapshots/:snapshot',
    role: 'operator',
    summary: 'Lets it go, and merges what nothing needs any more while the VM runs.',
    params: snapshotParams,
    response: begun,
    status: 202,
  },
  revertVm: {
    method: 'POST',
    path: '/v1/vms/:vm/revert',
    role: 'operator',
    summary: 'Returns it to a snapshot.',
    params: vmParams,
    body: z.strictObject({
      snapshot: referenceSchema,
      /** The name of a snapshot that keeps the present; none is taken when left out. */
      keepAs: nameSchema.optional(),
    }),
    response: begun,
    status: 202,
  },
  setSnapshotSchedule: {
    method: 'PUT',
    path: '/v1/vms/:vm/snapshot-schedule',
    role: 'operator',
    summary: 'Takes snapshots of it by themselves, and keeps the newest of them.',
    params: vmParams,
    body: z.strictObject({
      everySeconds: snapshotScheduleSchema.shape.everySeconds,
      keep: snapshotScheduleSchema.shape.keep,
      kind: snapshotKindSchema.default('disk'),
    }),
    response: snapshotListSchema,
  },
  dropSnapshotSchedule: {
    method: 'DELETE',
    path: '/v1/vms/:vm/snapshot-schedule',
    role: 'operator',
    summary: 'Takes no more by themselves; those that were taken stay.',
    params: vmParams,
    response: snapshotListSchema,
  },
  getChange: {
    method: 'GET',
    path: '/v1/vms/:vm/change',
    role: 'viewer',
    summary: 'The change of it that is open.',
    params: vmParams,
    response: changeViewSchema,
  },
  beginChange: {
    method: 'POST',
    path: '/v1/vms/:vm/change',
    role: 'operator',
    summary: 'Takes a snapshot with memory, and watches whether it gets worse.',
    params: vmParams,
    body: z.strictObject({
      /** Commands in its guest that say with exit code 0 that all is well. */
      checks: z.array(changeCheckSchema).max(8).default([]),
      forSeconds: z
        .number()
        .int()
        .min(10)
        .max(7 * 86_400)
        .default(600),
      /** Goes back by itself when it gets worse. */
      auto: z.boolean().default(false),
      kind: snapshotKindSchema.optional(),
    }),
    response: begun,
    status: 202,
  },
  commitChange: {
    method: 'POST',
    path: '/v1/vms/:vm/change/commit',
    role: 'operator',
    summary: 'Is content with it as it is: the watch ends, and the snapshot goes.',
    params: vmParams,
    response: begun,
    status: 202,
  },
  revertChange: {
    method: 'POST',
    path: '/v1/vms/:vm/change/revert',
    role: 'operator',
    summary: 'Takes the change back now.',
    params: vmParams,
    response: begun,
    status: 202,
  },
} as const satisfies Contract
