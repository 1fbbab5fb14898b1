/** Emptying a host for work on it, and giving it back. */
import { z } from 'zod'
import { maintenancePlanSchema, maintenanceWishSchema } from '../maintenance.ts'
import type { Contract } from './route.ts'
import { hostViewSchema, taskViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

const hostParams = z.object({ host: referenceSchema })
const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true')

export const maintenanceRoutes = {
  planMaintenance: {
    method: 'GET',
    path: '/v1/hosts/:host/maintenance/plan',
    role: 'viewer',
    summary: 'How each of its machines would leave it, or why one would not.',
    params: hostParams,
    query: z.object({ stop: flag, restartElsewhere: flag }),
    response: maintenancePlanSchema,
  },
  beginMaintenance: {
    method: 'POST',
    path: '/v1/hosts/:host/maintenance',
    role: 'administrator',
    summary:
      'Lets it take no more machines and moves those away that it has. Refused when one of them could not leave.',
    params: hostParams,
    body: maintenanceWishSchema,
    response: z.object({ host: hostViewSchema, task: taskViewSchema }),
    status: 202,
  },
  updateHosts: {
    method: 'POST',
    path: '/v1/host-updates',
    role: 'administrator',
    summary:
      'Updates hosts one after the other: empties it, has it run the command, waits until it is back, gives it back. Stops at the first that fails.',
    body: z.strictObject({
      /** In this order; all hosts, by name, when left out. */
      hosts: z.array(referenceSchema).min(1).max(1000).optional(),
      command: z.string().min(1).max(4_000),
      ...maintenanceWishSchema.shape,
    }),
    response: z.object({ task: taskViewSchema, hostNames: z.array(z.string()) }),
    status: 202,
  },
  endMaintenance: {
    method: 'DELETE',
    path: '/v1/hosts/:host/maintenance',
    role: 'administrator',
    summary: 'Gives it back: it takes machines again, and those that were stopped for its maintenance start.',
    params: hostParams,
    response: z.object({ host: hostViewSchema, startedVms: z.array(z.string()) }),
  },
} as const satisfies Contract
