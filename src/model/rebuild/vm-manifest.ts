/**
 * What lies beside each disk of a machine: enough to enter the machine, its networks and its storages into a state that has lost them.
 * Without secrets: what a machine is told by user-data and network configuration is left out, and named as left out (decision 51).
 */
import { z } from 'zod'
import { networkSpecSchema } from '../cluster.ts'
import { securityGroupSchema } from '../firewall.ts'
import { hostSpecSchema } from '../host.ts'
import { virtualNetworkSchema } from '../network.ts'
import { snapshotScheduleSchema } from '../snapshots/snapshot-schedule.ts'
import { storageSpecSchema, volumeSpecSchema } from '../storage.ts'
import { type VmSpec, vmSpecSchema } from '../vm.ts'

/** Which of two manifests of a machine is the newer: the one with the higher epoch, then the one with the higher revision. */
export const manifestVersionSchema = z.object({
  /** The highest epoch that was given out for the machine; 0: it was never placed. */
  epoch: z.number().int().min(0),
  /** Grows with each manifest of the machine. */
  revision: z.number().int().min(1),
})
export type ManifestVersion = z.infer<typeof manifestVersionSchema>

/** Of a host as far as others have to know it to find it again. */
export const hostIdentitySchema = hostSpecSchema.pick({ id: true, name: true, number: true, address: true, port: true })
export type HostIdentity = z.infer<typeof hostIdentitySchema>

export const vmManifestSchema = z.object({
  formatVersion: z.literal(1),
  version: manifestVersionSchema,
  writtenAt: z.iso.datetime(),
  clusterName: z.string(),
  vm: vmSpecSchema,
  /** What `vm` lacks because it is secret. */
  withheld: z.array(z.enum(['user-data', 'network-config'])),
  /** Where it is, and under which epoch it was placed there; null: nowhere. */
  placement: z.object({ host: hostIdentitySchema, epoch: z.number().int().min(1) }).nullable(),
  volumes: z.array(volumeSpecSchema),
  storages: z.array(storageSpecSchema),
  flatNetwork: networkSpecSchema.nullable(),
  networks: z.array(virtualNetworkSchema),
  securityGroups: z.array(securityGroupSchema),
  snapshotSchedule: snapshotScheduleSchema.nullable(),
})
export type VmManifest = z.infer<typeof vmManifestSchema>

/** Negative when the left one is older. */
export function compareVersions(left: ManifestVersion, right: ManifestVersion): number {
  return left.epoch - right.epoch || left.revision - right.revision
}

/** The VM without what is secret in it, and what that was. SSH keys are public. */
export function withholdSecrets(spec: VmSpec): Pick<VmManifest, 'vm' | 'withheld'> {
  if (spec.cloudInit === null) return { vm: spec, withheld: [] }
  const { userData, networkConfig } = spec.cloudInit
  return {
    vm: { ...spec, cloudInit: { ...spec.cloudInit, userData: null, networkConfig: null } },
    withheld: [
      ...(userData === null ? [] : ['user-data' as const]),
      ...(networkConfig === null ? [] : ['network-config' as const]),
    ],
  }
}
