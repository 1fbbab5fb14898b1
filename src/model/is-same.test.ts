import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isSame } from './is-same.ts'

test('two values are the same when their JSON is', () => {
  const seed = Date.now()
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), fc.jsonValue({ maxDepth: 3 }), (left, right) => {
      const asJson = (value: unknown) => JSON.stringify(sorted(value))
      assert.equal(isSame(left, right), asJson(left) === asJson(right))
      assert.equal(isSame(left, JSON.parse(JSON.stringify(left))), true)
    }),
    { seed },
  )
})

test('the order of keys does not matter, that of a list does, and a key without a value is none', () => {
  assert.equal(isSame({ one: 1, other: [{ two: 2 }] }, { other: [{ two: 2 }], one: 1, more: undefined }), true)
  assert.equal(isSame([1, 2], [2, 1]), false)
  assert.equal(isSame({ one: null }, {}), false)
  assert.equal(isSame({ one: 1 }, { two: 1 }), false)
  assert.equal(isSame([], {}), false)
  assert.equal(isSame(null, undefined), false)
})

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(sorted)
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, part]) => [key, sorted(part)]),
  )
}
