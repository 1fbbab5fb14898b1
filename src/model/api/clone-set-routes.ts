/** Copies of several machines of one instant, with their relations kept. */
import { z } from 'zod'
import { nameSchema, networkIdSchema } from '../ids.ts'
import type { Contract } from './route.ts'
import { taskViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

/** In front of and behind the names of their origins. */
const affixSchema = z.string().regex(/^[a-z0-9-]{0,20}$/, 'must be small letters, digits and hyphens')

export const cloneSetRoutes = {
  cloneSet: {
    method: 'POST',
    path: '/v1/clone-sets',
    role: 'administrator',
    summary:
      'Clones machines by their disks, of one instant, into one network, where each has the address of its origin.',
    body: z.strictObject({
      vms: z.array(referenceSchema).min(1).max(32),
      /** A network that there is, where nobody has these addresses. */
      network: referenceSchema.optional(),
      /** The name of a network that is made for them, without a way out. */
      isolated: nameSchema.optional(),
      prefix: affixSchema.optional(),
      suffix: affixSchema.optional(),
      start: z.boolean().default(false),
    }),
    response: z.object({
      names: z.array(nameSchema),
      networkId: networkIdSchema,
      /** All clones have it. */
      tag: z.string(),
      task: taskViewSchema,
    }),
    status: 202,
  },
} as const satisfies Contract
