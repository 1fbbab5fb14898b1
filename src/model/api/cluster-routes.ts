import { z } from 'zod'
import { networkSpecSchema } from '../cluster.ts'
import type { Contract } from './route.ts'
import { clusterViewSchema, eventViewSchema, findingSchema, taskViewSchema } from './views.ts'

const taskParams = z.object({ task: z.string().regex(/^task-[a-z0-9]{8}$/, 'must be an id like task-1a2b3c4d') })

/** What the watch stream tells: that an object is now like this, or gone. Ids are store revisions, so a stream resumes without gaps. */
export const watchEventSchema = z.object({
  /** vm, host, storage, volume, network, template, security-group, task, event. */
  noun: z.string(),
  id: z.string(),
  change: z.enum(['put', 'delete']),
  object: z.json().nullable(),
})

export const clusterRoutes = {
  health: {
    method: 'GET',
    path: '/v1/health',
    role: 'none',
    summary: 'Answers when the controller serves.',
    response: z.object({ status: z.literal('ok'), version: z.string() }),
  },
  getCluster: {
    method: 'GET',
    path: '/v1/cluster',
    role: 'viewer',
    summary: 'The cluster as a whole.',
    response: clusterViewSchema,
  },
  setNetwork: {
    method: 'PUT',
    path: '/v1/network',
    role: 'administrator',
    summary: 'The VMs’ network: subnet, gateway and assignable addresses.',
    body: networkSpecSchema,
    response: networkSpecSchema,
  },
  listTasks: {
    method: 'GET',
    path: '/v1/tasks',
    role: 'viewer',
    summary: 'Tasks, newest first.',
    response: z.object({ tasks: z.array(taskViewSchema) }),
  },
  getTask: {
    method: 'GET',
    path: '/v1/tasks/:task',
    role: 'viewer',
    summary: 'One task.',
    params: taskParams,
    response: taskViewSchema,
  },
  cancelTask: {
    method: 'POST',
    path: '/v1/tasks/:task/cancel',
    role: 'operator',
    summary: 'Asks it to stop; what it had begun is undone.',
    params: taskParams,
    response: taskViewSchema,
  },
  watchTask: {
    method: 'GET',
    path: '/v1/tasks/:task/watch',
    role: 'viewer',
    summary: 'The task, each time it changes, until it ends.',
    params: taskParams,
    response: taskViewSchema,
    stream: 'events',
  },
  listEvents: {
    method: 'GET',
    path: '/v1/events',
    role: 'viewer',
    summary: 'What happened, oldest first.',
    query: z.object({ limit: z.coerce.number().int().min(1).max(5000).default(200) }),
    response: z.object({ events: z.array(eventViewSchema) }),
  },
  watchEvents: {
    method: 'GET',
    path: '/v1/events/watch',
    role: 'viewer',
    summary: 'What happens, from a revision on.',
    response: eventViewSchema,
    stream: 'events',
  },
  watch: {
    method: 'GET',
    path: '/v1/watch',
    role: 'viewer',
    summary: 'Every change of every object, from a revision on.',
    response: watchEventSchema,
    stream: 'events',
  },
  doctor: {
    method: 'POST',
    path: '/v1/doctor',
    role: 'operator',
    summary: 'Checks the invariants on the live cloud.',
    response: z.object({ findings: z.array(findingSchema), checked: z.array(z.string()) }),
  },
} as const satisfies Contract
