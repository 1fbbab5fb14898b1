import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type LayerId, layerIdSchema } from '../../model/ids.ts'
import { planTidy } from './plan-tidy.ts'
import type { LayerInfo } from './storage.ts'

const id = (word: string): LayerId => layerIdSchema.parse(`layer-${word.repeat(8)}`)
const [a, b, c, d] = [id('a'), id('b'), id('c'), id('d')] as const

function layer(layerId: LayerId | null, on: LayerId | null | undefined, changes: Partial<LayerInfo> = {}): LayerInfo {
  const plain = { isCurrent: false, replacedAt: null, isNeeded: false, isLetGo: false, isShared: false }
  return { layerId, on, usedBytes: 0, modifiedAt: new Date(0), ...plain, ...changes }
}
const first = layer(null, undefined)
const current = { isCurrent: true }
const needed = { isNeeded: true }
const spent = { isLetGo: true }

describe('the layers of a volume', () => {
  test('between what is needed are merged into the upper one, down to what is needed or the first', () => {
    const layers = [first, layer(a, null), layer(b, a, needed), layer(c, b), layer(d, c, current)]
    assert.deepEqual(planTidy(layers).merges, [
      { into: b, on: null, merged: [a], isInUse: true },
      { into: d, on: b, merged: [c], isInUse: true },
    ])
  })

  test('that are as few as they can be are left alone', () => {
    const layers = [first, layer(a, null, needed), layer(b, a, current)]
    assert.deepEqual(planTidy(layers), { removals: [], merges: [] })
  })

  test('stay where the tree branches, and are merged beside the machine, too', () => {
    const layers = [first, layer(a, null), layer(b, a, current), layer(c, a), layer(d, c, needed)]
    assert.deepEqual(planTidy(layers).merges, [{ into: d, on: a, merged: [c], isInUse: false }])
  })

  test('that another volume has, too, stay as they are until the tree is deep, and go when nothing is on them', () => {
    const shared = { isShared: true }
    const layers = [first, layer(a, null, shared), layer(b, a, { ...needed, ...shared }), layer(c, b, current)]
    assert.deepEqual(planTidy(layers), { removals: [], merges: [] })
    const deep = Array.from({ length: 22 }, () => layer(d, c))
    assert.deepEqual(planTidy([first, layer(a, null, shared), layer(c, a, current), ...deep]).merges.at(0), {
      ...{ into: c, on: null, merged: [a], isInUse: true },
    })
    assert.deepEqual(planTidy([first, layer(a, null, { ...shared, ...spent }), layer(c, null, current)]).removals, [a])
  })

  test('that somebody let go of are removed once nothing is on them and nothing needs them', () => {
    const layers = [first, layer(a, null, spent), layer(b, a, spent), layer(c, null, current)]
    assert.deepEqual(planTidy(layers).removals, [b])
    assert.deepEqual(planTidy([first, layer(a, null, { ...spent, ...needed }), layer(c, null, current)]).removals, [])
  })

  test('that are replaced, current, or known to nobody are not removed, and nothing is merged into what only waits', () => {
    const replaced = { ...spent, replacedAt: new Date(0) }
    const layers = [first, layer(a, null, current), layer(b, null, replaced), layer(c, null), layer(d, c)]
    assert.deepEqual(planTidy(layers), { removals: [], merges: [] })
  })

  test('lie on a chain without end of nothing when a file is missing: nothing is merged there', () => {
    assert.deepEqual(planTidy([first, layer(b, a, current)]).merges, [])
  })
})
