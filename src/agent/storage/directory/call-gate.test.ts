import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failsWith } from '../storage.contract.ts'
import { createCallGate } from './call-gate.ts'

test('while one call hangs, further calls are refused at once, and are let in when it came back', async () => {
  const gate = createCallGate('/storage')
  const hanging = Promise.withResolvers<void>()
  await assert.rejects(
    gate('readSlot', 5, () => hanging.promise),
    failsWith('storage-failed', /did not answer within 5 ms/),
  )
  const untouched = () => assert.fail('no further thread may be spent')
  await assert.rejects(gate('usage', 5000, untouched), failsWith('storage-failed', /readSlot still hangs/))
  hanging.resolve()
  await hanging.promise
  await new Promise(setImmediate)
  assert.equal(await gate('usage', 5000, async () => 'answered'), 'answered')
})
