import { z } from 'zod'
import { fenceConfigurationSchema } from '../host.ts'
import { nameSchema } from '../ids.ts'
import { proofSchema } from '../proof.ts'
import type { Contract } from './route.ts'
import { hostViewSchema, storageViewSchema, taskViewSchema, templateViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

const hostParams = z.object({ host: referenceSchema })

export const hostRoutes = {
  listHosts: {
    method: 'GET',
    path: '/v1/hosts',
    role: 'viewer',
    summary: 'All hosts.',
    response: z.object({ hosts: z.array(hostViewSchema) }),
  },
  getHost: {
    method: 'GET',
    path: '/v1/hosts/:host',
    role: 'viewer',
    summary: 'One host.',
    params: hostParams,
    response: hostViewSchema,
  },
  createJoinToken: {
    method: 'POST',
    path: '/v1/join-tokens',
    role: 'administrator',
    summary: 'A token with which one host of this name may join once, within an hour.',
    body: z.strictObject({ hostName: nameSchema }),
    response: z.object({ token: z.string(), expiresAt: z.iso.datetime() }),
    status: 201,
  },
  setHostFence: {
    method: 'PUT',
    path: '/v1/hosts/:host/fence',
    role: 'administrator',
    summary: 'How to switch this host off; null to forget it.',
    params: hostParams,
    body: z.strictObject({ fence: fenceConfigurationSchema.nullable() }),
    response: hostViewSchema,
  },
  confirmHostDead: {
    method: 'POST',
    path: '/v1/hosts/:host/confirm-dead',
    role: 'administrator',
    summary: 'An operator’s word that the host is off: machines of it may start elsewhere. Recorded with the name.',
    params: hostParams,
    body: z.strictObject({ /** The host's name once more. */ confirm: z.string() }),
    response: z.object({ proof: proofSchema }),
  },
  deleteHost: {
    method: 'DELETE',
    path: '/v1/hosts/:host',
    role: 'administrator',
    summary: 'Forgets a host that holds nothing.',
    params: hostParams,
    response: z.object({}),
  },
  listStorages: {
    method: 'GET',
    path: '/v1/storages',
    role: 'viewer',
    summary: 'All storages.',
    response: z.object({ storages: z.array(storageViewSchema) }),
  },
  createStorage: {
    method: 'POST',
    path: '/v1/storages',
    role: 'administrator',
    summary: 'Declares a directory a storage: shared by all hosts, or local to each.',
    body: z.strictObject({
      name: nameSchema,
      kind: z.literal('directory').default('directory'),
      path: z.string().regex(/^\/[^\0\n]*$/, 'must be an absolute path'),
      shared: z.boolean(),
      host: referenceSchema.optional(),
    }),
    response: storageViewSchema,
    status: 201,
  },
  listTemplates: {
    method: 'GET',
    path: '/v1/templates',
    role: 'viewer',
    summary: 'All templates.',
    response: z.object({ templates: z.array(templateViewSchema) }),
  },
  buildTemplate: {
    method: 'POST',
    path: '/v1/templates',
    role: 'administrator',
    summary: 'Builds a template from the recipe of this name (or takes the built one) and registers it.',
    body: z.strictObject({ recipe: nameSchema }),
    response: z.object({ task: taskViewSchema }),
    status: 202,
  },
} as const satisfies Contract
