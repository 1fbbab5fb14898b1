/** What a controller asks of an agent about the manifests of machines, and about all else that tells what is on a storage. */
import { z } from 'zod'
import type { Contract } from '../api/route.ts'
import { storageIdSchema, volumeIdSchema } from '../ids.ts'
import { orderAuthoritySchema } from '../machine-order.ts'
import { storageContentsSchema } from '../rebuild/testimony.ts'
import { manifestVersionSchema, vmManifestSchema } from '../rebuild/vm-manifest.ts'

export const manifestOrders = {
  writeManifest: {
    method: 'PUT',
    path: '/agent/v1/volumes/:volumeId/manifest',
    role: 'host',
    summary: 'Keeps the manifest of its machine beside a volume; answers which version is the newest there afterwards.',
    params: z.object({ volumeId: volumeIdSchema }),
    body: z.object({ authority: orderAuthoritySchema, storageId: storageIdSchema, manifest: vmManifestSchema }),
    response: z.object({ newest: manifestVersionSchema }),
  },
  storageContents: {
    method: 'GET',
    path: '/agent/v1/storages/:storageId/contents',
    role: 'host',
    summary: 'What lies on a storage, as it tells by itself: for who has lost what was known of it.',
    params: z.object({ storageId: storageIdSchema }),
    response: storageContentsSchema,
  },
} as const satisfies Contract
