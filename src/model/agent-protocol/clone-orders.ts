/** What the leader orders of agents about disks that begin as copies of another machine's. All are safe to repeat. */
import { z } from 'zod'
import type { Contract } from '../api/route.ts'
import { layerIdSchema, snapshotIdSchema, storageIdSchema, vmIdSchema, volumeIdSchema } from '../ids.ts'
import { orderAuthoritySchema } from '../machine-order.ts'

/** A volume that is to begin with a layer of another one on its storage. */
export const diskLinkSchema = z.object({
  storageId: storageIdSchema,
  fromVolumeId: volumeIdSchema,
  layerId: layerIdSchema.nullable(),
  volumeId: volumeIdSchema,
  /** What the new one is written to. */
  overlay: layerIdSchema,
})
export type DiskLink = z.infer<typeof diskLinkSchema>

const links = {
  /** Of the new machine: whose user the files belong to. */
  number: z.number().int().min(1),
  /** Root first. */
  links: z.array(diskLinkSchema).min(1).max(16),
  snapshotId: snapshotIdSchema,
}
const vmParams = z.object({ vmId: vmIdSchema })

export const flattenReportSchema = z.object({
  isDone: z.boolean(),
  /** From 0 to 1. */
  progress: z.number(),
})
export type FlattenReport = z.infer<typeof flattenReportSchema>

export const cloneOrders = {
  linkMachineDisks: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/links',
    role: 'host',
    summary: 'Lets new volumes begin with layers of a machine that runs here.',
    params: vmParams,
    body: z.object({ authority: orderAuthoritySchema, epoch: z.number().int().min(1), ...links }),
    response: z.object({}),
  },
  linkDisks: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/links-of-closed',
    role: 'host',
    summary: 'Lets new volumes begin with layers of a machine that runs nowhere.',
    params: vmParams,
    body: z.object({ authority: orderAuthoritySchema, ...links }),
    response: z.object({}),
  },
  flattenVolume: {
    method: 'POST',
    path: '/agent/v1/volumes/:volumeId/flatten',
    role: 'host',
    summary: 'Makes a volume that nobody has open stand alone, unless that was begun before; tells how far it is.',
    params: z.object({ volumeId: volumeIdSchema }),
    body: z.object({
      authority: orderAuthoritySchema,
      storageId: storageIdSchema,
      waitMs: z.number().int().min(0).max(10_000),
    }),
    response: flattenReportSchema,
  },
  readVolume: {
    method: 'GET',
    path: '/agent/v1/volumes/:volumeId/file',
    role: 'host',
    summary: 'The file of a volume that stands alone and that nobody has open.',
    params: z.object({ volumeId: volumeIdSchema }),
    query: z.object({ storageId: storageIdSchema }),
    stream: 'bytes',
  },
} as const satisfies Contract
