import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { leaseProofAfterMs, newLeaderWaitsMs, pillProofAfterMs } from '../../src/model/protection/bounds.ts'
import { defaultTimings } from '../../src/model/timings.ts'

const read = (name: string) => readFile(new URL(`../../docs/model/${name}`, import.meta.url), 'utf8')
const spans = { TTL: 'leaseMs', R: 'pillFreeMs', W: 'watchdogMs', K: 'killMs', D: 'drainMs' } as const

/** The names that a wait of the model is the sum of, without what its broken variants take away. */
function termsOf(source: string, name: string): (keyof typeof spans)[] {
  const [, sum] = new RegExp(`^#define ${name} \\((.*) - LACKS\\)$`, 'm').exec(source) ?? []
  assert.ok(sum !== undefined, `${name} is not a sum in fencing.pml`)
  return sum.split(' + ').map((term) => {
    const known = Object.keys(spans).find((span) => span === term)
    assert.ok(known !== undefined, `${term} is no span of the protocol`)
    return known as keyof typeof spans
  })
}

describe('the waits of the model', () => {
  test('are the sums that the product waits for', async () => {
    const source = await read('fencing.pml')
    const sumOf = (name: string) => termsOf(source, name).reduce((sum, term) => sum + defaultTimings[spans[term]], 0)
    // Powers of ten, so that no two different sums are equal.
    const timings = { ...defaultTimings, leaseMs: 1, pillFreeMs: 10, watchdogMs: 100, killMs: 1_000, drainMs: 10_000 }
    const markedSumOf = (name: string) => termsOf(source, name).reduce((sum, term) => sum + timings[spans[term]], 0)
    assert.equal(sumOf('LEASE_PROOF_AFTER'), leaseProofAfterMs(defaultTimings))
    assert.equal(markedSumOf('LEASE_PROOF_AFTER'), leaseProofAfterMs(timings))
    assert.equal(markedSumOf('PILL_PROOF_AFTER'), pillProofAfterMs(timings))
  })

  test('are counted with spans that stand to each other as those of the product do', async () => {
    const ticks = Object.fromEntries(
      [...(await read('timings.pml')).matchAll(/^#define (\w+) (\d+)$/gm)].map(([, name, ticksOf]) => [
        name,
        Number(ticksOf),
      ]),
    )
    assert.deepEqual(Object.keys(ticks), Object.keys(spans))
    assert.ok(Object.values(ticks).every((tick) => Number(tick) >= 1))
    assert.equal(Number(ticks['TTL']) > Number(ticks['R']), defaultTimings.leaseMs > defaultTimings.pillFreeMs)
    assert.ok(newLeaderWaitsMs(defaultTimings) < leaseProofAfterMs(defaultTimings))
  })
})
