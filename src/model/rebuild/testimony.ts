/** What hosts and storages tell of themselves to a controller that has lost its state. */
import { z } from 'zod'
import { agentConfigurationSchema } from '../agent-protocol/heartbeat.ts'
import { type HostId, volumeIdSchema } from '../ids.ts'
import { machineLifeSchema } from '../machine-order.ts'
import { snapshotSchema } from '../snapshots/snapshot.ts'
import type { StorageSpec } from '../storage.ts'
import type { MachineReport } from '../vm.ts'
import { type HostIdentity, vmManifestSchema } from './vm-manifest.ts'

/** Who took a volume for writing last. */
export const volumeClaimSchema = z.object({ hostName: z.string(), life: machineLifeSchema })
export type VolumeClaim = z.infer<typeof volumeClaimSchema>

export const volumeContentsSchema = z.object({
  volumeId: volumeIdSchema,
  manifest: vmManifestSchema.nullable(),
  claim: volumeClaimSchema.nullable(),
  /** Those that lie beside it. */
  snapshots: z.array(snapshotSchema),
  /** Why it could not be read; null when it could. */
  error: z.string().nullable(),
})
export type VolumeContents = z.infer<typeof volumeContentsSchema>

export const storageContentsSchema = z.object({ volumes: z.array(volumeContentsSchema) })

/** What a host says of itself to a controller that does not know it: what it was told by the one before, as it has kept it. */
export const introductionSchema = z.object({
  hostName: z.string(),
  address: z.string(),
  port: z.number().int(),
  configuration: agentConfigurationSchema.nullable(),
})
export type Introduction = z.infer<typeof introductionSchema>

/** One host that was asked. Its number is null where nobody remembers it. */
export type HostTestimony = {
  readonly host: Omit<HostIdentity, 'number'> & { readonly number: number | null }
  /** What it was told by the controller before; null for a host that this state knows already. */
  readonly introduction: Introduction | null
  /** Its machines; undefined when it did not answer. */
  readonly reports: readonly MachineReport[] | undefined
}

/** One storage, as the host that read it sees it. */
export type StorageTestimony = {
  readonly storage: StorageSpec
  readonly readBy: HostId
  readonly volumes: readonly VolumeContents[]
}

export type Testimony = {
  readonly hosts: readonly HostTestimony[]
  readonly storages: readonly StorageTestimony[]
  /** Storages that hosts have been told of, and that nobody could read: with the reason. */
  readonly unread: readonly { readonly storage: StorageSpec; readonly why: string }[]
}
