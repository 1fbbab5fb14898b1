/** What a VM is called, and what people have noted of it. */
import { z } from 'zod'
import { nameSchema } from '../ids.ts'
import { maximumTags, tagSchema, vmNoteSchema } from '../tags.ts'
import type { Contract } from './route.ts'
import { vmViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

const vmParams = z.object({ vm: referenceSchema })
const tags = z.array(tagSchema).max(maximumTags).default([])

export const namingRoutes = {
  nameVm: {
    method: 'PUT',
    path: '/v1/vms/:vm/name',
    role: 'operator',
    summary: 'Gives it another name. Its guest takes it at its next start.',
    params: vmParams,
    body: z.strictObject({ name: nameSchema }),
    response: vmViewSchema,
  },
  tagVm: {
    method: 'PATCH',
    path: '/v1/vms/:vm/tags',
    role: 'operator',
    summary: 'Adds and removes tags of it.',
    params: vmParams,
    body: z.strictObject({ add: tags, remove: tags }),
    response: vmViewSchema,
  },
  noteVm: {
    method: 'PUT',
    path: '/v1/vms/:vm/note',
    role: 'operator',
    summary: 'Replaces what is noted of it.',
    params: vmParams,
    body: z.strictObject({ note: vmNoteSchema }),
    response: vmViewSchema,
  },
} as const satisfies Contract
