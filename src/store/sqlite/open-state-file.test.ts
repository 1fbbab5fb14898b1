import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DialtoneError, type ErrorCode } from '../../model/dialtone-error.ts'
import { put } from '../store.fixture.ts'
import { openSqliteDatabase } from './sqlite-database.ts'
import { openSqliteStore } from './sqlite-store.ts'

let folder = ''
let path = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialtone-open-'))
  path = join(folder, 'state.db')
})
afterEach(() => rm(folder, { recursive: true }))

async function assertRefused(code: ErrorCode, sentence: RegExp): Promise<void> {
  await assert.rejects(openSqliteStore({ path }), (error) => {
    assert.ok(error instanceof DialtoneError)
    assert.equal(error.code, code)
    assert.match(error.message, sentence)
    return true
  })
}

/** The file as it was, to the byte, after an attempt to open it. */
async function assertRefusedUntouched(sentence: RegExp): Promise<void> {
  const before = await readFile(path)
  await assertRefused('image-corrupt', sentence)
  assert.deepEqual(await readFile(path), before)
}

function makeDatabase(sql: string): void {
  const database = openSqliteDatabase(path, { readOnly: false, busyTimeoutMs: 0 })
  database.execute(sql)
  database.close()
}

async function makeStateFile(entries: number): Promise<void> {
  await using store = await openSqliteStore({ path })
  for (let index = 0; index < entries; index += 1) await store.commit(put(`k${index}`, 'x'.repeat(3000)))
}

describe('one process at a time', () => {
  it('refuses a second opener in the same process, and lets it in when the first has closed', async () => {
    const first = await openSqliteStore({ path })
    await assertRefused('in-use', new RegExp(`in use by process ${process.pid}:`))
    await first.commit(put('a', '1'))
    await assertRefused('in-use', new RegExp(`process ${process.pid}:`))
    await first[Symbol.asyncDispose]()
    await using second = await openSqliteStore({ path })
    assert.equal((await second.get('a'))?.value, '1')
  })

  it('names the other process, and opens at once when that was killed', async () => {
    const script = fileURLToPath(new URL('./sqlite-crash.test-child.ts', import.meta.url))
    const child = spawn(process.execPath, [script, path, '0'], { stdio: ['ignore', 'pipe', 'inherit'] })
    child.stdout.resume()
    await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) })
    await assertRefused('in-use', new RegExp(`process ${child.pid}:`))
    child.kill('SIGKILL')
    await once(child, 'close')
    await using store = await openSqliteStore({ path })
    assert.ok((await store.range('')).revision >= 1)
  })
})

describe('incarnation', () => {
  it('differs between files, stays with a copy, and is renewed on request only', async () => {
    await makeStateFile(1)
    const copy = join(folder, 'copy.db')
    await copyFile(path, copy)
    const incarnationOf = async (options: Parameters<typeof openSqliteStore>[0]) => {
      await using store = await openSqliteStore(options)
      assert.equal((await store.range('')).revision, options.path === join(folder, 'other.db') ? 1 : 2)
      return store.incarnation
    }
    const original = await incarnationOf({ path })
    assert.equal(await incarnationOf({ path: copy }), original)
    const renewed = await incarnationOf({ path: copy, newIncarnation: true })
    assert.notEqual(renewed, original)
    assert.equal(await incarnationOf({ path: copy }), renewed)
    assert.notEqual(await incarnationOf({ path: join(folder, 'other.db') }), original)
  })
})

describe('files that are not right', () => {
  it('refuses what is no database', async () => {
    await writeFile(path, 'Dear diary, '.repeat(1000))
    await assertRefusedUntouched(/not a state file of Dialtone/)
  })

  it("refuses another program's database, also with an open journal", async () => {
    makeDatabase('CREATE TABLE songs (title TEXT)')
    await assertRefusedUntouched(/database of another program/)
    await rm(path)
    const other = openSqliteDatabase(path, { readOnly: false, busyTimeoutMs: 0 })
    other.execute('PRAGMA journal_mode = WAL; CREATE TABLE songs (title TEXT)')
    const crashed = join(folder, 'crashed.db')
    for (const suffix of ['', '-wal']) await copyFile(path + suffix, crashed + suffix)
    other.close()
    path = crashed
    const journal = await readFile(`${path}-wal`)
    assert.ok(journal.length > 0)
    await assertRefusedUntouched(/database of another program/)
    assert.deepEqual(await readFile(`${path}-wal`), journal)
  })

  it('refuses a file of a newer version', async () => {
    await makeStateFile(1)
    makeDatabase('PRAGMA user_version = 2')
    await assertRefusedUntouched(/newer version/)
  })

  it('refuses a file that lost its tail', async () => {
    await makeStateFile(50)
    const { size } = await stat(path)
    await truncate(path, Math.floor(size / 2 / 4096) * 4096)
    await assertRefusedUntouched(/damaged/)
  })

  it('refuses a file with pages overwritten', async () => {
    await makeStateFile(50)
    const bytes = await readFile(path)
    bytes.fill(0xa5, 4096, bytes.length)
    await writeFile(path, bytes)
    await assertRefusedUntouched(/damaged/)
  })

  it('takes an empty file for a new one, as a crash while it was made leaves it', async () => {
    await writeFile(path, '')
    await makeStateFile(1)
  })

  it('says that the folder is not there, or is no file', async () => {
    const there = path
    path = join(folder, 'absent', 'state.db')
    await assertRefused('storage-failed', /can't be opened/)
    path = folder
    await assertRefused('storage-failed', /can't be opened/)
    path = there
  })

  it('lets nobody else read the file, whatever rights a restored copy came with', async () => {
    await makeStateFile(1)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    await chmod(path, 0o644)
    await makeStateFile(1)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
  })
})
