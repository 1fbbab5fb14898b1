import { z } from 'zod'
import { figureSpanSchema, figuresSchema } from '../figures.ts'
import type { Contract } from './route.ts'
import { referenceSchema } from './vm-routes.ts'

/** As columns: a point is one place in all of them. */
export const figureHistorySchema = z.object({
  span: figureSpanSchema,
  /** Between two points, where nothing is missing. */
  stepMs: z.number().int(),
  /** Of each point, as the wall clock of the controller had it: oldest first. */
  timesMs: z.array(z.number()),
  values: z.object({
    cpuPercent: z.array(z.number()),
    memoryMiB: z.array(z.number()),
    diskReadKiBPerSecond: z.array(z.number()),
    diskWriteKiBPerSecond: z.array(z.number()),
    networkInKiBPerSecond: z.array(z.number()),
    networkOutKiBPerSecond: z.array(z.number()),
    pauseMs: z.array(z.number()),
  }),
})
export type FigureHistory = z.infer<typeof figureHistorySchema>

/** The newest of one host or machine. */
export const figureViewSchema = z.object({ id: z.string(), name: z.string(), atMs: z.number(), figures: figuresSchema })
export type FigureView = z.infer<typeof figureViewSchema>

/** `id`: of a VM or a host, or `cluster`. */
export const figurePointSchema = z.object({ id: z.string(), atMs: z.number(), figures: figuresSchema })
export type FigureNews = z.infer<typeof figurePointSchema>

const spanQuery = z.object({ span: figureSpanSchema.default('hour') })

export const figureRoutes = {
  listFigures: {
    method: 'GET',
    path: '/v1/figures',
    role: 'viewer',
    summary: 'What each host and machine takes at the moment.',
    response: z.object({ hosts: z.array(figureViewSchema), vms: z.array(figureViewSchema) }),
  },
  clusterFigures: {
    method: 'GET',
    path: '/v1/figures/cluster',
    role: 'viewer',
    summary: 'What all hosts together took over time.',
    query: spanQuery,
    response: figureHistorySchema,
  },
  hostFigures: {
    method: 'GET',
    path: '/v1/hosts/:host/figures',
    role: 'viewer',
    summary: 'What a host took over time.',
    params: z.object({ host: referenceSchema }),
    query: spanQuery,
    response: figureHistorySchema,
  },
  vmFigures: {
    method: 'GET',
    path: '/v1/vms/:vm/figures',
    role: 'viewer',
    summary: 'What a VM took over time.',
    params: z.object({ vm: referenceSchema }),
    query: spanQuery,
    response: figureHistorySchema,
  },
  watchFigures: {
    method: 'GET',
    path: '/v1/figures/watch',
    role: 'viewer',
    summary: 'The figures of a VM, of all hosts, or of the whole cluster, as they come in. Ids are times.',
    query: z.object({ vm: referenceSchema.optional(), hosts: z.stringbool().default(false) }),
    response: figurePointSchema,
    stream: 'events',
  },
  metricTargets: {
    method: 'GET',
    path: '/metrics/targets',
    role: 'viewer',
    summary: 'The addresses of the running VMs, for the service discovery of Prometheus (http_sd).',
    query: z.object({ port: z.coerce.number().int().min(1).max(65_535).default(9100) }),
    response: z.array(z.object({ targets: z.array(z.string()), labels: z.record(z.string(), z.string()) })),
  },
  metrics: {
    method: 'GET',
    path: '/metrics',
    role: 'viewer',
    summary: 'What hosts and VMs take, in the text format of Prometheus.',
    stream: 'bytes',
  },
} as const satisfies Contract
