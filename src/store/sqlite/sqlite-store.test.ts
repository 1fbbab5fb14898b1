import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { storeContract } from '../store.contract.ts'
import { put, rejectsWith } from '../store.fixture.ts'
import { openSqliteDatabase } from './sqlite-database.ts'
import { openSqliteStore } from './sqlite-store.ts'

storeContract('sqlite', {
  isDurable: true,
  createFixture: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dialtone-store-'))
    return {
      open: (options) => openSqliteStore({ path: join(folder, 'state.db'), ...options }),
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
    }
  },
})

it('stops for good, watches included, when the open file turns out to be damaged', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dialtone-store-'))
  const path = join(folder, 'state.db')
  {
    await using store = await openSqliteStore({ path })
    await store.commit(put('a', '1'))
  }
  const database = openSqliteDatabase(path, { readOnly: false, busyTimeoutMs: 0 })
  database.execute("UPDATE entry SET value = x'ff'")
  database.close()
  const store = await openSqliteStore({ path })
  const watching = store.watch('', { afterRevision: 2, signal: new AbortController().signal })[Symbol.asyncIterator]()
  const next = assert.rejects(watching.next(), /holds something unexpected/)
  await rejectsWith('image-corrupt', store.get('a'))
  await next
  await rejectsWith('image-corrupt', store.commit(put('b', '1')))
  await store[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})
