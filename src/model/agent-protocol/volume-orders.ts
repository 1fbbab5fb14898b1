/** What the leader orders of an agent that moves a volume between two storages of its host. */
import { z } from 'zod'
import type { Contract } from '../api/route.ts'
import { storageIdSchema, vmIdSchema, volumeIdSchema } from '../ids.ts'
import { diskFormatSchema, orderAuthoritySchema } from '../machine-order.ts'

const params = z.object({ vmId: vmIdSchema, volumeId: volumeIdSchema })
const head = { authority: orderAuthoritySchema, epoch: z.number().int().min(1) }
const target = { ...head, toStorageId: storageIdSchema }

export const volumeMirrorSchema = z.object({
  /** The copy has all of it: every write is done when both have it. */
  isReady: z.boolean(),
  copiedBytes: z.number(),
  totalBytes: z.number(),
})
export type VolumeMirror = z.infer<typeof volumeMirrorSchema>

export const volumeOrders = {
  mirrorVolume: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/volumes/:volumeId/mirror',
    role: 'host',
    summary:
      'Copies a disk of a running machine to the volume that was made on the other storage, and tells how far it is.',
    params,
    /** `isOnSameBase`: the copy lies on the same template. */
    body: z.object({ ...target, isOnSameBase: z.boolean() }),
    response: volumeMirrorSchema,
  },
  holdVolume: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/volumes/:volumeId/hold',
    role: 'host',
    summary: 'The machine stands still, with both the same, until the leader says which one is its disk.',
    params,
    body: z.object(target),
    response: z.object({}),
  },
  switchVolume: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/volumes/:volumeId/switch',
    role: 'host',
    summary: 'The copy is the machine’s disk now: it goes on with it. Answers when it does.',
    params,
    body: z.object(target),
    response: z.object({}),
  },
  keepVolume: {
    method: 'POST',
    path: '/agent/v1/machines/:vmId/volumes/:volumeId/keep',
    role: 'host',
    summary: 'The disk stays where it is: the machine goes on with it.',
    params,
    body: z.object(target),
    response: z.object({}),
  },
  copyVolume: {
    method: 'POST',
    path: '/agent/v1/volumes/:volumeId/copy',
    role: 'host',
    summary:
      'Copies a volume that nobody has open to the volume that was made on the other storage. Answers when it is durable.',
    params: z.object({ volumeId: volumeIdSchema }),
    body: z.object({
      authority: orderAuthoritySchema,
      fromStorageId: storageIdSchema,
      toStorageId: storageIdSchema,
      format: diskFormatSchema,
      /** Of its machine: whose user the files belong to. */
      number: z.number().int(),
      isOnSameBase: z.boolean(),
    }),
    response: z.object({}),
  },
} as const satisfies Contract
