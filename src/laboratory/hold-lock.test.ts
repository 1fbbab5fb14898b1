import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { lockLaboratory } from './hold-lock.ts'

test('the second to come is told who holds the lock, and gets it once it is free', async () => {
  const name = `test-${randomUUID()}`
  {
    await using _held = await lockLaboratory(name, { purpose: 'dialtone up', waitMs: 0 })
    await assert.rejects(
      lockLaboratory(name, { purpose: 'dialtone down', waitMs: 30 }),
      new RegExp(`is being worked on by dialtone up \\(process ${process.pid}\\)`),
    )
  }
  await using _again = await lockLaboratory(name, { purpose: 'dialtone down', waitMs: 0 })
})
