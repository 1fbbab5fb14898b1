import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DialtoneError } from '../model/dialtone-error.ts'
import { directBlockBytes, readBlockDirect, writeBlockDirect } from './direct-block.ts'

test('a block written past the page cache is read back, and its neighbours stay as they were', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-direct-'))
  t.after(() => rm(directory, { recursive: true }))
  const path = join(directory, 'slots')
  await writeBlockDirect(path, 0, Buffer.from('first'))
  await writeBlockDirect(path, 2, Buffer.from('third'))
  assert.equal((await readBlockDirect(path, 0)).toString('utf8', 0, 5), 'first')
  assert.equal((await readBlockDirect(path, 2)).toString('utf8', 0, 5), 'third')
  assert.deepEqual(await readBlockDirect(path, 1), Buffer.alloc(directBlockBytes))
  assert.equal((await readBlockDirect(path, 3)).length, 0)
})

test('a slot on a storage that is not there is an error, not an empty slot', async () => {
  await assert.rejects(
    readBlockDirect('/nonexistent/slots', 0),
    (error) => error instanceof DialtoneError && error.code === 'storage-failed',
  )
})
