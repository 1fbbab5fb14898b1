/** Services over the API: a file is applied, and what it says is made true. */
import { z } from 'zod'
import { restartLessonsSchema, serviceHealthSchema, serviceSpecSchema } from '../service/service.ts'
import { groupSchema, serviceFileSchema } from '../service/service-file.ts'
import { servicePlanSchema } from '../service/service-plan.ts'
import type { Contract } from './route.ts'
import { taskViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

const serviceParams = z.object({ service: referenceSchema })
const deleting = z.object({ service: z.string(), task: taskViewSchema })

export const serviceViewSchema = z.object({
  ...serviceSpecSchema.shape,
  health: serviceHealthSchema,
  components: z.array(
    z.object({
      name: z.string(),
      replicas: z.number().int(),
      serving: z.number().int(),
      health: serviceHealthSchema,
      needs: z.array(z.string()),
      machines: z.array(
        z.object({
          name: z.string(),
          id: z.string(),
          state: z.string(),
          hostName: z.string().nullable(),
          address: z.string(),
          /** Whether it answers correctly. */
          isServing: z.boolean(),
        }),
      ),
    }),
  ),
  /** The restart tree below the whole service, written down by its owner or derived. */
  tree: z.array(groupSchema),
  isTreeDerived: z.boolean(),
  /** Newest first. */
  restarts: z.array(
    z.object({
      taskId: z.string(),
      at: z.iso.datetime(),
      cell: z.string(),
      components: z.array(z.string()),
      reason: z.string(),
      /** Null while it is under way. */
      isCured: z.boolean().nullable(),
    }),
  ),
  lessons: restartLessonsSchema,
})
export type ServiceView = z.infer<typeof serviceViewSchema>

export const serviceRoutes = {
  listServices: {
    method: 'GET',
    path: '/v1/services',
    role: 'viewer',
    summary: 'All services and how they are.',
    response: z.object({ services: z.array(serviceViewSchema) }),
  },
  getService: {
    method: 'GET',
    path: '/v1/services/:service',
    role: 'viewer',
    summary: 'One service with its components, its restart tree and what was restarted.',
    params: serviceParams,
    response: serviceViewSchema,
  },
  applyService: {
    method: 'POST',
    path: '/v1/services',
    role: 'operator',
    summary: 'Makes a service as its file says, or only tells what that would do.',
    body: z.strictObject({
      file: serviceFileSchema,
      /** Only the plan. */
      dryRun: z.boolean().default(false),
      /** Machines of components that the file doesn’t name are deleted with their disks. */
      prune: z.boolean().default(false),
    }),
    /** No task when it was only asked for, or when nothing is to be done. */
    response: z.object({ plan: servicePlanSchema, task: taskViewSchema.nullable() }),
    status: 202,
  },
  scaleService: {
    method: 'POST',
    path: '/v1/services/:service/scale',
    role: 'operator',
    summary: 'Gives components another number of replicas; those above it are deleted with their disks.',
    params: serviceParams,
    body: z.strictObject({ replicas: z.record(z.string(), z.number().int().min(1).max(100)) }),
    response: z.object({ plan: servicePlanSchema, task: taskViewSchema.nullable() }),
    status: 202,
  },
  deleteService: {
    method: 'DELETE',
    path: '/v1/services/:service',
    role: 'operator',
    summary: 'Deletes a service with all its machines and their disks.',
    params: serviceParams,
    response: deleting,
    status: 202,
  },
} as const satisfies Contract
