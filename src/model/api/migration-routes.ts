/** Moving a VM to another host while it runs. */
import { z } from 'zod'
import type { Contract } from './route.ts'
import { taskViewSchema, vmViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

export const migrationRoutes = {
  migrateVm: {
    method: 'POST',
    path: '/v1/vms/:vm/migrate',
    role: 'operator',
    summary:
      'Moves a running VM to another host, without a boot: to the one that is named, or to where it fits best. Local disks go with it.',
    params: z.object({ vm: referenceSchema }),
    body: z
      .object({
        host: referenceSchema.optional(),
        /** Where disks go that the other host doesn't have: a name or id. Left out: to its own storage with the most room. */
        storage: referenceSchema.optional(),
        /** Also when it breaks the reserve for failing hosts. */
        force: z.boolean().default(false),
      })
      .default({ force: false }),
    response: z.object({ vm: vmViewSchema, task: taskViewSchema }),
    status: 202,
  },
} as const satisfies Contract
