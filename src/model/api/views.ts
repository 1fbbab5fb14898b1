/** What the API answers: the stored nouns joined into what a person or a script wants to see. */
import { z } from 'zod'
import { standbyReportSchema } from '../agent-protocol/heartbeat.ts'
import { cloudInitSummarySchema } from '../cloud-init.ts'
import { clusterSpecSchema, networkSpecSchema, taskSchema, templateSpecSchema } from '../cluster.ts'
import { pendingSchema } from '../growth.ts'
import { hostSpecSchema, hostStatusSchema } from '../host.ts'
import { isoSpecSchema } from '../iso.ts'
import { vmMigrationSchema } from '../migration/vm-migration.ts'
import { vmNicSchema } from '../network.ts'
import { storageSpecSchema, volumeSpecSchema } from '../storage.ts'
import { vmPlacementSchema, vmSpecSchema, vmStandbySchema, vmStatusSchema } from '../vm.ts'

export const vmNicViewSchema = z.object({ ...vmNicSchema.shape, networkName: z.string() })
export type VmNicView = z.infer<typeof vmNicViewSchema>

export const vmViewSchema = z.object({
  ...vmSpecSchema.omit({ cloudInit: true }).shape,
  /** What it is told about itself, without what is secret in it. */
  cloudInit: cloudInitSummarySchema.nullable(),
  /** Names of the discs in its drives. */
  discs: z.array(z.string().nullable()),
  nics: z.array(vmNicViewSchema),
  templateName: z.string(),
  /** Names of its security groups. */
  securityGroups: z.array(z.string()),
  hostName: z.string().nullable(),
  placement: vmPlacementSchema.nullable(),
  status: vmStatusSchema,
  /** The host that would take it over, where its image is kept. */
  standby: vmStandbySchema.nullable(),
  standbyHostName: z.string().nullable(),
  /** What that host says of it; null while it says nothing. */
  standbyReport: standbyReportSchema.nullable(),
  /** The move that it is in. */
  migration: vmMigrationSchema.nullable(),
  /** What it is to have and has not yet. */
  pending: z.array(pendingSchema),
  /** How it would come back after a failure, and what that would lose. */
  recoverySentence: z.string(),
  /** The proof of the last recovery in a sentence. */
  proofSentence: z.string().nullable(),
  revision: z.number().int(),
})
export type VmView = z.infer<typeof vmViewSchema>

export const hostViewSchema = z.object({
  ...hostSpecSchema.shape,
  status: hostStatusSchema,
  /** Milliseconds since the last acknowledged heartbeat; null before the first. */
  silentMs: z.number().nullable(),
  usedMemoryMiB: z.number().int(),
  usedCpus: z.number().int(),
  vmNames: z.array(z.string()),
})
export type HostView = z.infer<typeof hostViewSchema>

export const storageViewSchema = z.object({
  ...storageSpecSchema.shape,
  hostName: z.string().nullable(),
  volumes: z.number().int(),
})
export type StorageView = z.infer<typeof storageViewSchema>

export const volumeViewSchema = z.object({
  ...volumeSpecSchema.shape,
  /** Of a disk of a VM: `web:0`. */
  name: z.string(),
  vmName: z.string().nullable(),
  storageName: z.string(),
})
export type VolumeView = z.infer<typeof volumeViewSchema>

export const templateViewSchema = templateSpecSchema
export const isoViewSchema = z.object({ ...isoSpecSchema.shape, vmNames: z.array(z.string()) })
export type IsoView = z.infer<typeof isoViewSchema>
export const taskViewSchema = taskSchema.omit({ journal: true }).extend({
  /** What it was told by a command, if it ran one. */
  output: z.string().optional(),
})
export type TaskView = z.infer<typeof taskViewSchema>

export const eventViewSchema = z.object({
  revision: z.number().int(),
  at: z.iso.datetime(),
  kind: z.string(),
  subject: z.string(),
  message: z.string(),
  vmId: z.string().nullable(),
  hostId: z.string().nullable(),
  user: z.string().nullable(),
  detail: z.json().optional(),
})
export type EventView = z.infer<typeof eventViewSchema>

export const clusterViewSchema = z.object({
  ...clusterSpecSchema.shape,
  version: z.string(),
  term: z.number().int(),
  network: networkSpecSchema.nullable(),
  storeIncarnation: z.string(),
  storeRevision: z.number().int(),
  /** Set while the controller waits before it judges hosts, or has stopped automatic starts. */
  holds: z.array(z.string()),
})
export type ClusterView = z.infer<typeof clusterViewSchema>

export const findingSchema = z.object({
  /** Name of the invariant that does not hold. */
  invariant: z.string(),
  severity: z.enum(['danger', 'defect', 'untidy']),
  subject: z.string(),
  message: z.string(),
  next: z.string(),
})
export type Finding = z.infer<typeof findingSchema>
