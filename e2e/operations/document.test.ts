import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { withTable } from './describe-table.ts'
import { hardwareOperations } from './hardware-operations.ts'
import { powerOperations } from './power-operations.ts'
import { snapshotOperations } from './snapshot-operations.ts'
import { table } from './table.ts'

const path = join(import.meta.dirname, '../../docs/operations-by-state.md')

test('the document has the very table that is tried out; ACCEPT=1 writes it', async () => {
  const document = await readFile(path, 'utf8')
  if (process.env['ACCEPT'] !== undefined) await writeFile(path, withTable(document))
  assert.equal(await readFile(path, 'utf8'), withTable(document))
})

test('every operation of the table is tried out, and every one that is tried out is in it', () => {
  const tried = Object.keys({ ...hardwareOperations, ...snapshotOperations, ...powerOperations })
  assert.deepEqual(Object.keys(table), tried)
})
