/** What the cluster knows about itself as a whole: identity, times, network, templates, tasks, events. */
import { z } from 'zod'
import { guestOsSchema, guestSchema } from './guest.ts'
import { ipv4AddressSchema } from './hardware.ts'
import { hostIdSchema, nameSchema, taskIdSchema, templateIdSchema, vmIdSchema } from './ids.ts'
import { cloneOriginSchema } from './machine-order.ts'
import { probeCheckSchema } from './recovery/probe.ts'
import { madeFromSchema, templatePortsSchema } from './template-manifest.ts'
import { timingsSchema } from './timings.ts'

/** Every combination of so many hosts is tried at each admission. */
export const mostHostFailures = 3

export const clusterSpecSchema = z.object({
  id: z.uuid(),
  name: nameSchema,
  createdAt: z.iso.datetime(),
  timings: timingsSchema,
  /** The longest times that a host may still count with; null when every host has told that it counts with the present ones. */
  formerTimings: timingsSchema.nullable().default(null),
  /** How many hosts may fail at once with every machine with HA still finding a place. */
  hostFailuresToTolerate: z.number().int().min(0).max(mostHostFailures).default(0),
})
export type ClusterSpec = z.infer<typeof clusterSpecSchema>

/** The IPv4 addresses of a network; of the flat one, where VMs share a layer 2 with their hosts, this is all there is. */
export const networkSpecSchema = z.object({
  subnet: z.cidrv4(),
  gateway: ipv4AddressSchema,
  addressFrom: ipv4AddressSchema,
  addressTo: ipv4AddressSchema,
})
export type NetworkSpec = z.infer<typeof networkSpecSchema>

export const templateSpecSchema = z.object({
  id: templateIdSchema,
  name: nameSchema,
  version: z.string(),
  description: z.string(),
  kernelVersion: z.string(),
  commandLine: z.string(),
  commandLineTcg: z.string(),
  minimumMemoryMiB: z.number().int(),
  defaultMemoryMiB: z.number().int(),
  defaultCpus: z.number().int(),
  rootDiskMiB: z.number().int(),
  /** A machine of it may be resumed from memory: an agent in it gives it new random numbers and tells it the time. */
  canResume: z.boolean(),
  /** `firmware`: from the boot loader on its disk. */
  boot: z.enum(['kernel', 'firmware']).default('kernel'),
  os: guestOsSchema.default('linux'),
  /** What a machine of it has without another word; null: what the profile of its system says. */
  guest: guestSchema.nullable().default(null),
  /** TCP ports that it serves once it is up. */
  ports: templatePortsSchema.default([]),
  origin: z.enum(['recipe', 'image', 'machine']).default('recipe'),
  /** Null: not from a machine. A guest of one that is has to be told that it is another machine. */
  madeFrom: madeFromSchema.nullable().default(null),
  /** When its service is up; null when nobody knows. */
  readiness: probeCheckSchema.nullable(),
  /** The machine that holds its memory image, which `--from-memory` begins with; null without one. */
  warm: z
    .object({
      ...cloneOriginSchema.shape,
      vmId: vmIdSchema,
      cpus: z.number().int(),
      memoryMiB: z.number().int(),
    })
    .nullable(),
  builtAt: z.string(),
  /** Folder of its files on the controller. */
  directory: z.string(),
})
export type TemplateSpec = z.infer<typeof templateSpecSchema>

export const taskStateSchema = z.enum(['running', 'succeeded', 'failed', 'cancelled', 'undoing'])
export const taskStepSchema = z.object({
  name: z.string(),
  state: z.enum(['pending', 'running', 'done', 'undone', 'failed']),
  tookMs: z.number().nullable(),
})
export const taskSchema = z.object({
  id: taskIdSchema,
  kind: z.string(),
  /** What it works on: for people, and for finding the tasks of an object. */
  subject: z.string(),
  vmId: vmIdSchema.nullable(),
  hostId: hostIdSchema.nullable(),
  user: z.string(),
  state: taskStateSchema,
  /** 0 to 1. */
  progress: z.number().min(0).max(1),
  message: z.string(),
  steps: z.array(taskStepSchema),
  /** What the steps need and have found out; JSON. */
  journal: z.json(),
  error: z.object({ code: z.string(), message: z.string(), next: z.string(), detail: z.json().optional() }).nullable(),
  cancelRequested: z.boolean(),
  createdAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
})
export type Task = z.infer<typeof taskSchema>

export const eventSchema = z.object({
  at: z.iso.datetime(),
  /** noun.verb, such as host.suspect or vm.restarted. */
  kind: z.string(),
  /** Names of what it is about. */
  subject: z.string(),
  message: z.string(),
  vmId: vmIdSchema.nullable(),
  hostId: hostIdSchema.nullable(),
  user: z.string().nullable(),
  detail: z.json().optional(),
})
export type ClusterEvent = z.infer<typeof eventSchema>
