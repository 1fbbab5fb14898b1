/** What a rebuild would enter into the state, from where, and what is doubtful about it. */
import { z } from 'zod'
import type { NetworkSpec } from '../cluster.ts'
import type { SecurityGroup } from '../firewall.ts'
import type { HostSpec } from '../host.ts'
import type { HostId, VmId } from '../ids.ts'
import type { VirtualNetwork } from '../network.ts'
import type { Snapshot } from '../snapshots/snapshot.ts'
import type { SnapshotSchedule } from '../snapshots/snapshot-schedule.ts'
import type { StorageSpec, VolumeSpec } from '../storage.ts'
import type { Timings } from '../timings.ts'
import type { VmSpec } from '../vm.ts'
import type { ManifestVersion } from './vm-manifest.ts'

export const rebuildItemSchema = z.object({
  noun: z.enum(['host', 'storage', 'network', 'security-group', 'vm', 'snapshot']),
  id: z.string(),
  name: z.string(),
  /** `present`: it is in the state already, and is left alone. */
  action: z.enum(['enter', 'present', 'leave-out']),
  /** Who tells of it: a host, or a manifest beside a disk. */
  from: z.string(),
  /** What becomes of it, or why it is left out: a sentence. */
  detail: z.string(),
  doubts: z.array(z.string()),
})
export type RebuildItem = z.infer<typeof rebuildItemSchema>

/** Something that was found and belongs to no item, or is missing. */
export const rebuildDoubtSchema = z.object({ subject: z.string(), message: z.string(), next: z.string() })
export type RebuildDoubt = z.infer<typeof rebuildDoubtSchema>

export const rebuildViewSchema = z.object({
  items: z.array(rebuildItemSchema),
  doubts: z.array(rebuildDoubtSchema),
  /** Names of the hosts that answered: there may have been others. */
  answered: z.array(z.string()),
})
export type RebuildView = z.infer<typeof rebuildViewSchema>

/** A VM as it is entered: unsettled, wanted stopped, and where it was last. */
export type VmEntry = {
  readonly spec: VmSpec
  readonly placement: { readonly hostId: HostId; readonly epoch: number } | null
  readonly volumes: readonly VolumeSpec[]
  readonly snapshots: readonly Snapshot[]
  readonly snapshotSchedule: SnapshotSchedule | null
  /** Of the manifest that it was entered from. */
  readonly version: ManifestVersion
}

/** What is to be written, in this order: hosts last, so that nothing is done with them before their machines are known. */
export type RebuildEntries = {
  /** Hosts may still count with these. */
  readonly formerTimings: Timings | null
  readonly flatNetwork: NetworkSpec | null
  readonly networks: readonly VirtualNetwork[]
  readonly securityGroups: readonly SecurityGroup[]
  readonly storages: readonly StorageSpec[]
  readonly vms: readonly VmEntry[]
  /** Snapshots of machines that are there already. */
  readonly snapshots: readonly { readonly vmId: VmId; readonly snapshot: Snapshot }[]
  readonly hosts: readonly HostSpec[]
}

export type RebuildPlan = { readonly view: RebuildView; readonly entries: RebuildEntries }
