/**
 * Which host would take a machine over, chosen beforehand: its memory image is kept there, so that its recovery reads nothing over a network
 * and boots nothing. Pure.
 */
import type { ClusterState, VmRecord } from '../model/cluster-state.ts'
import type { HostId, ImageId } from '../model/ids.ts'
import { placeVm } from './place-vm.ts'

export type StandbyDecision =
  | { readonly kind: 'settled' }
  | { readonly kind: 'choose'; readonly hostId: HostId; readonly imageId: ImageId; readonly reason: string }
  /** There is none to be chosen, or none is wanted any more. */
  | { readonly kind: 'dismiss'; readonly reason: string }

export function decideStandby(cluster: ClusterState, vm: VmRecord): StandbyDecision {
  const { spec, placement, status, standby } = vm
  const wishless = whyNone(vm)
  if (wishless !== undefined) return standby === undefined ? { kind: 'settled' } : { kind: 'dismiss', reason: wishless }
  const image = status?.recovery?.image
  // While its host can't be heard, what was chosen stays: that is what it was chosen for.
  if (placement === undefined || image === null || image === undefined) return { kind: 'settled' }
  const present = standby === undefined ? undefined : cluster.hosts.get(standby.hostId)
  const excluded = new Map([[placement.hostId, 'it runs there']])
  const choice = placeVm(cluster, spec, { excluded, preferred: standby?.hostId, takesOver: true })
  // A host that is merely silent for a moment keeps what was placed on it.
  const isSilent = present !== undefined && (present.status.state === 'suspect' || present.status.state === 'deaf')
  if (isSilent && standby?.imageId === image.imageId) return { kind: 'settled' }
  if (choice.kind === 'no-host-fits')
    return standby === undefined ? { kind: 'settled' } : { kind: 'dismiss', reason: 'no other host has room for it' }
  const isSame =
    standby?.hostId === choice.hostId &&
    standby.imageId === image.imageId &&
    standby.session === cluster.hosts.get(choice.hostId)?.status.session
  if (isSame) return { kind: 'settled' }
  return { kind: 'choose', hostId: choice.hostId, imageId: image.imageId, reason: choice.reason }
}

function whyNone({ spec, placement, standby }: VmRecord): string | undefined {
  if (spec.lifecycle !== 'live') return 'it is being deleted'
  if (spec.recovery.mode === 'boot') return 'it recovers by booting'
  if (!spec.ha) return 'it has no HA'
  if (spec.desired === 'stopped') return 'it is stopped'
  if (standby !== undefined && standby.hostId === placement?.hostId) return 'it runs there'
  return undefined
}
