/**
 * The restart tree of a service: nested cells, of which the smallest that cures a failure is restarted. Its root is the whole service; below
 * it are the groups that its owner has written down, or those that follow from what its components need. Each component is a cell of its
 * own at the bottom.
 */
import type { RestartGroup, ServiceFile } from '../../model/service/service-file.ts'

export type Cell = {
  /** Unique in the tree. */
  readonly name: string
  /** All that is restarted with it, those of its inner cells included; sorted. */
  readonly components: readonly string[]
  readonly cells: readonly Cell[]
}

type TreeParts = Pick<ServiceFile, 'service' | 'groups'> & {
  readonly components: Readonly<Record<string, Pick<ServiceFile['components'][string], 'needs'>>>
}

/** The tree of a service file that has no problems. */
export function restartTreeOf({ service, groups, components }: TreeParts): Cell {
  const inner = groups === undefined ? deriveCells(components) : groups.map(cellOfGroup)
  const grouped = new Set(inner.flatMap((cell) => cell.components))
  const alone = Object.keys(components).filter((name) => !grouped.has(name))
  return join(service, [...inner, ...alone.map(leafOf)])
}

/** Cells that contain this component, the smallest first: each lies within the next. */
export function pathTo(tree: Cell, component: string): readonly Cell[] {
  if (!tree.components.includes(component)) return []
  const inner = tree.cells.find((cell) => cell.components.includes(component))
  return inner === undefined ? [tree] : [...pathTo(inner, component), tree]
}

function cellOfGroup({ name, components, groups }: RestartGroup): Cell {
  return join(name, [...groups.map(cellOfGroup), ...components.map(leafOf)])
}

function leafOf(name: string): Cell {
  return { name, components: [name], cells: [] }
}

/** A cell of only one inner cell would be the same cell twice, but for its name. */
function join(name: string, cells: readonly Cell[]): Cell {
  return { name, components: cells.flatMap((cell) => cell.components).toSorted(), cells }
}

/**
 * What somebody needs who is needed by nobody else belongs to that one: a wrong state of either is most often cured by both. A component
 * that several need stays alone, so that restarting one of those leaves the others in peace.
 */
function deriveCells(components: TreeParts['components']): readonly Cell[] {
  const needers = new Map<string, string[]>()
  for (const [name, { needs }] of Object.entries(components))
    for (const needed of needs) needers.set(needed, [...(needers.get(needed) ?? []), name])
  const owned = (name: string): readonly string[] =>
    (components[name]?.needs ?? []).filter((needed) => needers.get(needed)?.length === 1)
  const cellOf = (name: string): Cell => {
    const inner = owned(name).map(cellOf)
    return inner.length === 0 ? leafOf(name) : join(`with-${name}`, [leafOf(name), ...inner])
  }
  const isOwned = (name: string) => {
    const [only, ...others] = needers.get(name) ?? []
    return only !== undefined && others.length === 0
  }
  return Object.keys(components)
    .filter((name) => !isOwned(name))
    .map(cellOf)
    .filter((cell) => cell.cells.length > 0)
}
