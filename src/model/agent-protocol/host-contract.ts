/** What agents call on a controller. All but `join` with a certificate of the cluster's own authority. */
import { z } from 'zod'
import type { Contract } from '../api/route.ts'
import { figureReportSchema } from '../figures.ts'
import { hostIdSchema } from '../ids.ts'
import { introductionSchema } from '../rebuild/testimony.ts'
import { templateVersionSchema } from '../template-manifest.ts'
import { acknowledgementSchema, heartbeatSchema } from './heartbeat.ts'

export const joinRequestSchema = z.object({
  token: z.string(),
  hostName: z.string(),
  publicKeyPem: z.string().max(4000),
  /** Over the token, by the private key: the agent has it. */
  signature: z.string(),
  address: z.string(),
  port: z.number().int(),
  /** Folder of the host's own disks. */
  localStoragePath: z.string().regex(/^\/[^\0\n]*$/),
})

export const joinResponseSchema = z.object({
  hostId: hostIdSchema,
  clusterId: z.uuid(),
  certificatePem: z.string(),
  authorityPem: z.string(),
})

export const hostContract = {
  join: {
    method: 'POST',
    path: '/host/v1/join',
    role: 'none',
    summary: 'Joins a host with a one-time token.',
    body: joinRequestSchema,
    response: joinResponseSchema,
  },
  heartbeat: {
    method: 'POST',
    path: '/host/v1/heartbeat',
    role: 'host',
    summary: 'Reports, and asks for the lease.',
    body: heartbeatSchema,
    response: acknowledgementSchema,
  },
  introduce: {
    method: 'POST',
    path: '/host/v1/introduction',
    role: 'host',
    summary: 'Says who it is to a controller that has lost its state and refuses its heartbeats.',
    body: introductionSchema,
    response: z.object({}),
  },
  figures: {
    method: 'POST',
    path: '/host/v1/figures',
    role: 'host',
    summary: 'What the host and its machines have taken since the last time. One that gets lost is not sent again.',
    body: figureReportSchema,
    response: z.object({}),
  },
  imageFile: {
    method: 'GET',
    path: '/host/v1/images/:version/:file',
    role: 'host',
    summary: 'A file of a template, or of a disc.',
    params: z.object({ version: templateVersionSchema, file: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/) }),
    stream: 'bytes',
  },
} as const satisfies Contract

export type HostContract = typeof hostContract
