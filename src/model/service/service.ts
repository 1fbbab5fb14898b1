/** A service as it is stored: what its owner applied last, and what was learned of its failures. Its machines know whose they are. */
import { z } from 'zod'
import { nameSchema, serviceIdSchema } from '../ids.ts'
import { serviceFileSchema } from './service-file.ts'

/** Which replica of which component a VM is. */
export const membershipSchema = z.object({
  serviceId: serviceIdSchema,
  component: nameSchema,
  /** From 1. */
  replica: z.number().int().min(1),
})
export type Membership = z.infer<typeof membershipSchema>

export const serviceSpecSchema = z.object({
  id: serviceIdSchema,
  name: nameSchema,
  file: serviceFileSchema,
  /** `deleting` belongs to a task. */
  lifecycle: z.enum(['live', 'deleting']),
  createdAt: z.iso.datetime(),
  appliedAt: z.iso.datetime(),
})
export type ServiceSpec = z.infer<typeof serviceSpecSchema>

/**
 * Of the attempts that could have ended at a cell: how many there were, how many cures are laid to it, how long its restarts took. Newer
 * ones count more.
 */
const cellLessonSchema = z.object({
  attempts: z.number().min(0),
  cures: z.number().min(0),
  restarts: z.number().min(0),
  tookMs: z.number().min(0),
})
/** By symptom (the suspects), then by cell. */
export const restartLessonsSchema = z.record(z.string(), z.record(z.string(), cellLessonSchema))
export type RestartLessons = Readonly<z.infer<typeof restartLessonsSchema>>

export type ServiceRecord = { readonly spec: ServiceSpec; readonly lessons: RestartLessons }

/** `degraded`: every component serves, and not with all of its replicas. `down`: a component has none that serves. */
export const serviceHealthSchema = z.enum(['up', 'degraded', 'down'])
export type ServiceHealth = z.infer<typeof serviceHealthSchema>

/** The name of a replica's machine. */
export function memberName(serviceName: string, component: string, replica: number): string {
  return `${serviceName}-${component}-${replica}`
}
