/** Volumes: what there is, and moving one to another storage. */
import { z } from 'zod'
import type { Contract } from './route.ts'
import { taskViewSchema, volumeViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

/** By id, or by its VM and its place among the VM's disks: `web:0` is the root disk of `web`. */
const volumeReferenceSchema = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,39}(?::\d)?$/, 'must be an id like vol-1a2b3c4d, or a disk of a VM like web:0')

export const volumeRoutes = {
  listVolumes: {
    method: 'GET',
    path: '/v1/volumes',
    role: 'viewer',
    summary: 'All volumes.',
    response: z.object({ volumes: z.array(volumeViewSchema) }),
  },
  moveVolume: {
    method: 'POST',
    path: '/v1/volumes/:volume/move',
    role: 'operator',
    summary: 'Moves a volume to another storage of its host, while its VM runs or is stopped.',
    params: z.object({ volume: volumeReferenceSchema }),
    body: z.object({ storage: referenceSchema }),
    response: z.object({ volume: volumeViewSchema, task: taskViewSchema }),
    status: 202,
  },
} as const satisfies Contract
