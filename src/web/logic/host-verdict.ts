/** What the planner says of a host, for a machine that somebody holds over it. */
import type { PlacementView } from '../../model/api/placement-routes.ts'
import type { HostView, VmView } from '../../model/api/views.ts'
import { texts } from '../texts.ts'

export type HostVerdict = { readonly kind: 'asking' | 'here' | 'fits' | 'does-not-fit'; readonly reason: string }

/** `placement` is null until the planner has answered: until then nothing may be dropped. */
export function verdictOn(host: HostView, vm: VmView, placement: PlacementView | null): HostVerdict {
  if (vm.placement?.hostId === host.id) return { kind: 'here', reason: texts.topology.here }
  if (placement === null) return { kind: 'asking', reason: texts.topology.asking }
  const verdict = placement.verdicts.find(({ hostId }) => hostId === host.id)
  if (verdict === undefined) return { kind: 'does-not-fit', reason: `${host.name} is not known to the planner` }
  return { kind: verdict.fits ? 'fits' : 'does-not-fit', reason: verdict.reason }
}
