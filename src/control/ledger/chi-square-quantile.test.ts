import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chiSquareQuantile } from './chi-square-quantile.ts'

test('quantiles are those of the printed tables', () => {
  const table = [
    [0.95, 2, 5.991465],
    [0.975, 2, 7.377759],
    [0.025, 4, 0.484419],
    [0.975, 6, 14.449375],
    [0.025, 10, 3.246973],
    [0.9, 20, 28.411981],
    [0.05, 100, 77.929465],
    [0.975, 100, 129.561197],
  ] as const
  for (const [p, degrees, expected] of table) {
    const found = chiSquareQuantile(p, degrees)
    assert.ok(Math.abs(found - expected) < 1e-5, `χ²(${p}; ${degrees}) is ${expected}, not ${found}`)
  }
})

test('thousands of failures are no harder', () => {
  // Wilson and Hilferty's approximation, which is good to a few parts in a million here.
  const degrees = 4000
  const expected = degrees * (1 - 2 / (9 * degrees) + 1.959964 * Math.sqrt(2 / (9 * degrees))) ** 3
  assert.ok(Math.abs(chiSquareQuantile(0.975, degrees) / expected - 1) < 1e-5)
})
