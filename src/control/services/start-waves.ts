/** In which order components are started: what one needs, or starts after, serves before it. Those of one wave start together. */
import type { ServiceComponent } from '../../model/service/service-file.ts'

export type Before = Readonly<Record<string, Pick<ServiceComponent, 'needs' | 'startsAfter'>>>

/** The wave of each component, from 0 on. Without cycles: `findCycle` has found none. */
export function wavesOf(components: Before): ReadonlyMap<string, number> {
  const waves = new Map<string, number>()
  const waveOf = (name: string): number => {
    const known = waves.get(name)
    if (known !== undefined) return known
    const before = beforeOf(components, name).map(waveOf)
    const wave = before.length === 0 ? 0 : Math.max(...before) + 1
    waves.set(name, wave)
    return wave
  }
  for (const name of Object.keys(components)) waveOf(name)
  return waves
}

/** These components in the order in which they are restarted together. */
export function inWaves(waves: ReadonlyMap<string, number>, names: readonly string[]): readonly (readonly string[])[] {
  const byWave = Map.groupBy(names, (name) => waves.get(name) ?? 0)
  return [...byWave].toSorted(([left], [right]) => left - right).map(([, wave]) => wave.toSorted())
}

/** All that a component needs, and what that needs in turn. Ends also where there is a cycle. */
export function neededBy(
  components: Readonly<Record<string, Pick<ServiceComponent, 'needs'>>>,
  name: string,
): ReadonlySet<string> {
  const found = new Set<string>()
  const waiting = [...(components[name]?.needs ?? [])]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next)) continue
    found.add(next)
    waiting.push(...(components[next]?.needs ?? []))
  }
  return found
}

/** A circle of components that wait for each other, beginning and ending with the same one; undefined without any. */
export function findCycle(components: Before): readonly string[] | undefined {
  const done = new Set<string>()
  const walk = (name: string, way: readonly string[]): readonly string[] | undefined => {
    const met = way.indexOf(name)
    if (met >= 0) return [...way.slice(met), name]
    if (done.has(name)) return undefined
    for (const before of beforeOf(components, name)) {
      const cycle = walk(before, [...way, name])
      if (cycle !== undefined) return cycle
    }
    done.add(name)
    return undefined
  }
  for (const name of Object.keys(components)) {
    const cycle = walk(name, [])
    if (cycle !== undefined) return cycle
  }
  return undefined
}

function beforeOf(components: Before, name: string): readonly string[] {
  const { needs = [], startsAfter = [] } = components[name] ?? {}
  return [...needs, ...startsAfter].filter((before) => components[before] !== undefined)
}
