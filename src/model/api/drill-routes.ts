/** Failures that are injected on purpose, and the recovery that follows. */
import { z } from 'zod'
import { drillKindSchema } from '../recovery/drill.ts'
import type { Contract } from './route.ts'
import { taskViewSchema, vmViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

export const drillRoutes = {
  drillVm: {
    method: 'POST',
    path: '/v1/vms/:vm/drills',
    role: 'operator',
    summary:
      'Makes a VM (or its whole host) really fail and follows its recovery. Refused without a word for one that is not drillable.',
    params: z.object({ vm: referenceSchema }),
    body: z.strictObject({ kind: drillKindSchema, confirmed: z.boolean().default(false) }),
    response: z.object({ vm: vmViewSchema, task: taskViewSchema }),
    status: 202,
  },
} as const satisfies Contract
