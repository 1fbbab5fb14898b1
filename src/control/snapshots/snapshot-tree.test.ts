import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeSnapshot, snapshotIdOf } from './snapshot.fixture.ts'
import { ancestorsOf, treeRows } from './snapshot-tree.ts'

const own = [makeSnapshot('a'), makeSnapshot('b', { parent: 'a' }), makeSnapshot('c', { parent: 'a' })]

describe('the snapshots of a machine', () => {
  test('are drawn below what they descend from, and the present where it belongs', () => {
    const rows = treeRows(own, snapshotIdOf('c')).map(({ snapshot, branches }) => [snapshot?.name, ...branches])
    assert.deepEqual(rows, [
      ['a', false],
      ['b', false, true],
      ['c', false, false],
      [undefined, false, false, false],
    ])
  })

  test('whose parent is gone, or whose present descends from none of them, begin a line of their own', () => {
    const rows = treeRows([makeSnapshot('b', { parent: 'gone' })], null)
    assert.deepEqual(
      rows.map(({ snapshot, branches }) => [snapshot?.name, ...branches]),
      [
        ['b', true],
        [undefined, false],
      ],
    )
  })

  test('have a line up to the first, which ends even if somebody made it a circle', () => {
    assert.deepEqual(
      ancestorsOf(own, snapshotIdOf('b')).map(({ name }) => name),
      ['b', 'a'],
    )
    const circle = [makeSnapshot('a', { parent: 'b' }), makeSnapshot('b', { parent: 'a' })]
    assert.equal(ancestorsOf(circle, snapshotIdOf('a')).length, 2)
  })
})
