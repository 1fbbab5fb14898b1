/** The cluster as the planner reads it, in one file: to be planned with elsewhere, and to be attached to a question. Holds no secrets. */
import { z } from 'zod'
import { clusterSpecSchema, networkSpecSchema, templateSpecSchema } from './cluster.ts'
import { securityGroupSchema } from './firewall.ts'
import { hostSpecSchema, hostStatusSchema } from './host.ts'
import { hostIdSchema, storageIdSchema, volumeIdSchema } from './ids.ts'
import { isoSpecSchema } from './iso.ts'
import { vmMigrationSchema } from './migration/vm-migration.ts'
import { virtualNetworkSchema } from './network.ts'
import { proofSchema } from './proof.ts'
import { ladderStatisticsSchema } from './recovery/ladder-statistics.ts'
import { vmOperationSchema } from './snapshots/vm-operation.ts'
import { storageSpecSchema } from './storage.ts'
import { machineReportSchema, vmPlacementSchema, vmSpecSchema, vmStandbySchema, vmStatusSchema } from './vm.ts'

/** What the leader knew of a machine beside what is stored. Null stands for what is unknown, or without bound. */
const vmKnowledgeSchema = z.object({
  report: machineReportSchema.nullable(),
  hostHasReported: z.boolean(),
  startOrder: z.enum(['not-given', 'accepted', 'spent']),
  strays: z.array(
    z.object({
      hostId: hostIdSchema,
      epoch: z.number().int(),
      elsewhere: z
        .object({
          disks: z.array(z.object({ volumeId: volumeIdSchema, storageId: storageIdSchema })).readonly(),
          leased: z.boolean(),
          areItsOwn: z.boolean(),
        })
        .optional(),
    }),
  ),
  claims: z
    .array(
      z.object({
        hostId: hostIdSchema,
        epoch: z.number().int(),
        disks: z.array(z.object({ volumeId: volumeIdSchema, storageId: storageIdSchema })).readonly(),
      }),
    )
    .default([]),
  released: proofSchema.nullable(),
  startsOnHold: z.string().nullable(),
  failures: z.object({ count: z.number().int(), lastAgoMs: z.number().nullable() }),
  startOrderDue: z.number().nullable(),
  epochFloor: z.number().int(),
})

export const clusterDumpSchema = z.object({
  format: z.literal('dialtone-dump-1'),
  takenAt: z.iso.datetime(),
  revision: z.number().int(),
  cluster: clusterSpecSchema,
  network: networkSpecSchema.nullable(),
  hosts: z.array(
    z.object({
      spec: hostSpecSchema,
      status: hostStatusSchema,
      /** What was measured of recoveries there; null when the host did not tell. */
      statistics: ladderStatisticsSchema.nullable(),
    }),
  ),
  vms: z.array(
    z.object({
      spec: vmSpecSchema,
      placement: vmPlacementSchema.nullable(),
      status: vmStatusSchema.nullable(),
      standby: vmStandbySchema.nullable(),
      migration: vmMigrationSchema.nullable(),
      operation: vmOperationSchema.nullable().default(null),
      knowledge: vmKnowledgeSchema,
    }),
  ),
  storages: z.array(storageSpecSchema),
  templates: z.array(templateSpecSchema),
  securityGroups: z.array(securityGroupSchema),
  networks: z.array(virtualNetworkSchema),
  isos: z.array(isoSpecSchema).default([]),
})
export type ClusterDump = z.infer<typeof clusterDumpSchema>
