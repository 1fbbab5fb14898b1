/** Templates from machines, and what becomes of their versions. */
import { z } from 'zod'
import { nameSchema } from '../ids.ts'
import { templatePortsSchema, templateVersionSchema } from '../template-manifest.ts'
import type { Contract } from './route.ts'
import { taskViewSchema, templateViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

const params = z.object({ template: referenceSchema })

export const templateDetailsSchema = z.object({
  ...templateViewSchema.shape,
  /** Of its name, the newest first: that is what a new machine is made from. */
  versions: z.array(templateVersionSchema),
  /** Machines that were made from this version. */
  vmNames: z.array(z.string()),
})
export type TemplateDetails = z.infer<typeof templateDetailsSchema>

export const templateRoutes = {
  createTemplate: {
    method: 'POST',
    path: '/v1/templates/from-vm',
    role: 'administrator',
    summary: 'Makes a version of a template of the root disk of a machine, as it is now or was at a snapshot of it.',
    body: z.strictObject({
      name: nameSchema.max(40),
      /** With the name in front of it; the next number when left out. */
      version: templateVersionSchema.max(23).optional(),
      vm: referenceSchema,
      /** As it was then; as it is now when left out. */
      snapshot: referenceSchema.optional(),
      note: z.string().max(500).default(''),
      /** What machines of it have without another word; what the machine has when left out. */
      memoryMiB: z.number().int().min(16).optional(),
      cpus: z.number().int().min(1).max(64).optional(),
      ports: templatePortsSchema.optional(),
      /** The machine's further disks stay behind; else one with further disks is refused. */
      rootOnly: z.boolean().default(false),
    }),
    response: z.object({ version: templateVersionSchema, task: taskViewSchema }),
    status: 202,
  },
  getTemplate: {
    method: 'GET',
    path: '/v1/templates/:template',
    role: 'viewer',
    summary: 'One version of a template: the newest one of a name.',
    params,
    response: templateDetailsSchema,
  },
  deleteTemplate: {
    method: 'DELETE',
    path: '/v1/templates/:template',
    role: 'administrator',
    summary: 'Deletes a version of a template that no machine was made from.',
    params,
    response: z.object({}),
  },
} as const satisfies Contract
