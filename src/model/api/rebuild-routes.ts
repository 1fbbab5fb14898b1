/** What hosts and storages tell of a lost state, and entering it. */
import { z } from 'zod'
import { rebuildViewSchema } from '../rebuild/rebuild-plan.ts'
import type { Contract } from './route.ts'

export const rebuildRoutes = {
  planRebuild: {
    method: 'GET',
    path: '/v1/rebuild',
    role: 'administrator',
    summary: 'What would be entered into the state from what hosts and storages tell. Changes nothing.',
    response: rebuildViewSchema,
  },
  rebuild: {
    method: 'POST',
    path: '/v1/rebuild',
    role: 'administrator',
    summary: 'Enters it. Starts nothing; what is there already is left alone.',
    response: z.object({ ...rebuildViewSchema.shape, entered: z.array(z.string()), refused: z.array(z.string()) }),
  },
} as const satisfies Contract
