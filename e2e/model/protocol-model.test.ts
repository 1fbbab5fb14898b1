/** The formal model of leases, pill, fencing and migration (docs/model), checked by Debian's spin in every state. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { modelChecks } from './model-checks.ts'
import { runCheck } from './run-check.ts'

const checksOf = (expected: string) => modelChecks.filter((check) => check.expected === expected)

describe('the model of the protocol', () => {
  test('has no state in which two hosts write, or an epoch goes back', async () => {
    for (const check of checksOf('holds')) {
      const { isAsExpected, trail, memoryMiB } = await runCheck(check)
      assert.ok(isAsExpected, trail.join('\n'))
      assert.ok(memoryMiB < 1_000)
    }
  })

  test('is not empty: a machine does start elsewhere, by each kind of proof', async () => {
    for (const check of checksOf('is-reached')) assert.ok((await runCheck(check)).isAsExpected, check.says)
  })

  test('rejects every broken variant of the protocol, with a history that breaks it', async () => {
    for (const check of checksOf('is-broken')) {
      const { isAsExpected, trail } = await runCheck(check)
      assert.ok(isAsExpected && trail.length > 0, `not rejected: ${check.says}`)
    }
  })
})
