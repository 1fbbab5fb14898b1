/** Machines that begin with another one's memory. */
import { z } from 'zod'
import { nameSchema } from '../ids.ts'
import { recoverySchema } from '../recovery/recovery-policy.ts'
import type { Contract } from './route.ts'
import { taskViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

const cloneBody = z.strictObject({
  count: z.number().int().min(1).max(200).default(1),
  /** Stem of the clones' names; a number is appended where there are several. */
  name: nameSchema.optional(),
  /** All names; then they say how many. */
  names: z.array(nameSchema).min(1).max(200).optional(),
  /** As the origin has it, when left out. */
  ha: z.boolean().optional(),
  recovery: recoverySchema.optional(),
  drillable: z.boolean().default(false),
})
const begun = z.object({ names: z.array(z.string()), task: taskViewSchema })

const diskCloneBody = z.strictObject({
  name: nameSchema,
  /** As it was then; as it is now when left out. */
  snapshot: referenceSchema.optional(),
  /** It shares nothing with its origin. */
  full: z.boolean().default(false),
  /** The network of its only card; a card in each network of its origin when left out. */
  network: referenceSchema.optional(),
  start: z.boolean().default(false),
})

export const cloneRoutes = {
  cloneDisks: {
    method: 'POST',
    path: '/v1/vms/:vm/disk-clones',
    role: 'operator',
    summary: 'Makes a machine whose disks begin as those of this one are, or were at a snapshot of it.',
    params: z.object({ vm: referenceSchema }),
    body: diskCloneBody,
    response: begun,
    status: 202,
  },
  cloneVm: {
    method: 'POST',
    path: '/v1/vms/:vm/clones',
    role: 'operator',
    summary: 'Clones a running machine from its memory: each clone is a machine of its own.',
    params: z.object({ vm: referenceSchema }),
    body: cloneBody,
    response: begun,
    status: 202,
  },
  cloneTemplate: {
    method: 'POST',
    path: '/v1/templates/:template/clones',
    role: 'operator',
    summary: "Makes machines from a template's warm image: they run at once.",
    params: z.object({ template: referenceSchema }),
    body: cloneBody,
    response: begun,
    status: 202,
  },
  warmTemplate: {
    method: 'POST',
    path: '/v1/templates/:template/warm',
    role: 'operator',
    summary: 'Captures the warm image of a template.',
    params: z.object({ template: referenceSchema }),
    body: z.strictObject({
      cpus: z.number().int().min(1).max(64).optional(),
      memoryMiB: z.number().int().min(16).optional(),
    }),
    response: z.object({ task: taskViewSchema }),
    status: 202,
  },
} as const satisfies Contract
