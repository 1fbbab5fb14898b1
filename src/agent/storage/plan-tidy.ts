/**
 * What keeps a volume's tree of layers small: layers that nothing needs are merged into the one above them, and go. The first layer stays.
 * Where the tree branches, the layer under the branches stays. A layer that another volume has, too, is never merged into, and stays as long
 * as the tree is not too deep for that. Pure.
 */
import type { LayerId } from '../../model/ids.ts'
import type { LayerInfo } from './storage.ts'

export type LayerMerge = {
  readonly into: LayerId
  /** What `into` lies on afterwards. */
  readonly on: LayerId | null
  /** From the upper one down. */
  readonly merged: readonly LayerId[]
  /** `into` is what the machine writes to, or lies under it: a hypervisor that runs has it open. */
  readonly isInUse: boolean
}

export type TidyPlan = { readonly removals: readonly LayerId[]; readonly merges: readonly LayerMerge[] }

/** With more layers than this, being short counts for more than sharing. */
const sharingYieldsAbove = 24

/** Removals first: each may make room for further ones, so it is planned anew until nothing is left to do. */
export function planTidy(layers: readonly LayerInfo[]): TidyPlan {
  const byId = new Map(layers.map((layer) => [layer.layerId, layer]))
  const above = countAbove(layers)
  const staysShared = ({ isShared }: LayerInfo) => isShared && layers.length <= sharingYieldsAbove
  const inUse = chainOf(
    layers.find(({ isCurrent }) => isCurrent),
    byId,
  )
  const merges = layers.flatMap((layer) => {
    const { layerId } = layer
    if (layerId === null || !takesOver(layer, above)) return []
    const merged: LayerId[] = []
    let on = layer.on
    for (; on !== undefined && on !== null; on = byId.get(on)?.on) {
      const under = byId.get(on)
      if (under === undefined || under.isNeeded || staysShared(under) || above(on) > 1) break
      merged.push(on)
    }
    return merged.length === 0 || on === undefined ? [] : [{ into: layerId, on, merged, isInUse: inUse.has(layerId) }]
  })
  return {
    removals: layers.flatMap((layer) => (isGarbage(layer, above) ? [layer.layerId] : [])).filter(isLayer),
    merges,
  }
}

/** What a machine, an image or a snapshot is made of, or where the tree branches. A process that only waits has a layer, too: not that one. */
function takesOver(
  { layerId, isCurrent, isNeeded, isShared }: LayerInfo,
  above: (layerId: LayerId | null) => number,
): boolean {
  return !isShared && (isCurrent || isNeeded || above(layerId) > 1)
}

function isGarbage(layer: LayerInfo, above: (layerId: LayerId | null) => number): boolean {
  const { layerId, isCurrent, isNeeded, isLetGo, replacedAt } = layer
  return layerId !== null && isLetGo && !isCurrent && !isNeeded && replacedAt === null && above(layerId) === 0
}

function isLayer(layerId: LayerId | null): layerId is LayerId {
  return layerId !== null
}

function countAbove(layers: readonly LayerInfo[]): (layerId: LayerId | null) => number {
  const counts = new Map<LayerId | null, number>()
  for (const { on } of layers) if (on !== undefined) counts.set(on, (counts.get(on) ?? 0) + 1)
  return (layerId) => counts.get(layerId) ?? 0
}

function chainOf(
  top: LayerInfo | undefined,
  byId: ReadonlyMap<LayerId | null, LayerInfo>,
): ReadonlySet<LayerId | null> {
  const chain = new Set<LayerId | null>()
  for (let layer = top; layer !== undefined; layer = layer.on === undefined ? undefined : byId.get(layer.on)) {
    chain.add(layer.layerId)
  }
  return chain
}
