/** What the cluster knows about a VM's next recovery. */
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { HostId } from '../../model/ids.ts'
import type { LadderStatistics } from '../../model/recovery/ladder-statistics.ts'
import type { Rung } from '../../model/recovery/recovery-policy.ts'
import type { VmSpec } from '../../model/vm.ts'
import { describeVerdicts, placeVm } from '../place-vm.ts'
import type { ImageFacts } from './describe-loss.ts'

export type RecoveryFacts = {
  readonly vm: Pick<VmSpec, 'name' | 'recovery' | 'probe' | 'ha'>
  /** The host that it is placed on; null: nowhere. */
  readonly hostName: string | null
  /** The image that its host would resume. */
  readonly image: ImageFacts | null
  /** Whether the host that would take it over has that very image. */
  readonly isImageOnStandby: boolean
  readonly standbyHostName: string | null
  /** A process waits on its host to take it over. */
  readonly hasSpare: boolean
  /** Why there is no image, or what is under way; empty when all is as wished. */
  readonly note: string
  /** Why it can't run on another host; undefined when one would take it. */
  readonly staysBecause: string | undefined
  /** What its host can't do for other reasons. */
  readonly unavailable: Partial<Readonly<Record<Rung, string>>>
  readonly statistics: LadderStatistics
}

export type Knowledge = {
  /** How long ago its image was captured; null when it has none. */
  readonly imageAgeMs: number | null
  readonly unavailable: RecoveryFacts['unavailable']
  /** What was measured where it runs. */
  readonly statistics: LadderStatistics
}

export function recoveryFactsOf(
  cluster: ClusterState,
  { spec, placement, status, standby }: VmRecord,
  { imageAgeMs, unavailable, statistics }: Knowledge,
): RecoveryFacts {
  const nameOf = (hostId: HostId | undefined) =>
    hostId === undefined ? null : (cluster.hosts.get(hostId)?.spec.name ?? null)
  const report = status?.recovery ?? null
  const image = report?.image ?? null
  return {
    vm: spec,
    hostName: nameOf(placement?.hostId),
    image: image === null || imageAgeMs === null ? null : { ageMs: imageAgeMs, changedMiB: image.changedMiB },
    isImageOnStandby: image !== null && standby?.imageId === image.imageId,
    standbyHostName: nameOf(standby?.hostId),
    hasSpare: report?.spare === 'ready',
    note: report?.note ?? (status === undefined ? '' : 'its host has not told'),
    staysBecause: whyItStays(cluster, { spec, placement }, nameOf(spec.boundToHostId ?? undefined)),
    unavailable,
    statistics,
  }
}

function whyItStays(
  cluster: ClusterState,
  { spec, placement }: Pick<VmRecord, 'spec' | 'placement'>,
  boundTo: string | null,
): string | undefined {
  if (spec.boundToHostId !== null) return `its disk is local to ${boundTo ?? spec.boundToHostId}`
  if (!spec.ha) return 'it has no HA'
  const excluded = new Map(placement === undefined ? [] : [[placement.hostId, 'it runs there'] as const])
  const choice = placeVm(cluster, spec, { excluded, takesOver: true })
  return choice.kind === 'placed' ? undefined : `no other host takes it: ${describeVerdicts(choice.verdicts)}`
}
