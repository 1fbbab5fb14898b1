import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, it } from 'node:test'
import { openStateFile } from './open-state-file.ts'
import { integerIn, type SqliteDatabase, sqliteFailure } from './sqlite-database.ts'
import { createSqliteKeyspace, type SqliteKeyspace, type WriteOperation } from './sqlite-keyspace.ts'

let folder = ''
let database: SqliteDatabase
let keyspace: SqliteKeyspace
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialtone-keyspace-'))
  database = openStateFile({ path: join(folder, 'state.db'), incarnation: 'one', renewIncarnation: false })
  keyspace = createSqliteKeyspace(database, { historyRevisions: 10 })
})
afterEach(async () => {
  database.close()
  await rm(folder, { recursive: true })
})

function puts(count: number, options: { readonly value?: string; readonly leaseId?: string } = {}): WriteOperation {
  const { value = '', ...lease } = options
  const writes = Array.from(
    { length: count },
    (_, index) => ({ kind: 'put', key: `k${index}`, value, ...lease }) as const,
  )
  return { kind: 'commit', transaction: { conditions: [], writes } }
}

function rowsOf(table: string): number {
  return integerIn(database.prepare(`SELECT count(*) AS count FROM ${table}`).first() ?? {}, 'count')
}

it('takes forgotten history off the disk, a step at a time', () => {
  for (let index = 0; index < 40; index += 1) keyspace.write([puts(500)])
  assert.ok(rowsOf('history') > 5000)
  let steps = 0
  while (keyspace.sweep()) steps += 1
  assert.equal(rowsOf('history'), 10 * 500)
  assert.ok(steps >= 20, `${steps} steps`)
  assert.equal(rowsOf('entry'), 500)
})

it('keeps up with small transactions without any step of its own', () => {
  for (let index = 0; index < 200; index += 1) keyspace.write([puts(2)])
  assert.equal(rowsOf('history'), 10 * 2)
})

it('ends a lease with more keys than a transaction may write, in one transaction', () => {
  keyspace.write([{ kind: 'grant-lease', leaseId: 'l', ttlMs: 1 }])
  const operations = [0, 1, 2].map((part): WriteOperation => {
    const writes = Array.from({ length: 400 }, (_, index) => {
      return { kind: 'put', key: `${part}/${index}`, value: '', leaseId: 'l' } as const
    })
    return { kind: 'commit', transaction: { conditions: [], writes } }
  })
  keyspace.write(operations)
  const [outcome] = keyspace.write([{ kind: 'end-lease', leaseId: 'l' }])
  assert.equal(outcome?.revision, 5)
  assert.deepEqual(keyspace.range(''), { revision: 5, entries: [] })
})

it('gives each operation of a group its own verdict and revision', () => {
  const conflicting: WriteOperation = {
    kind: 'commit',
    transaction: { conditions: [{ key: 'k0', modRevision: 0 }], writes: [{ kind: 'delete', key: 'k0' }] },
  }
  const outcomes = keyspace.write([puts(1), conflicting, puts(1, { leaseId: 'absent' }), puts(1)])
  assert.deepEqual(
    outcomes.map(({ verdict, revision }) => [verdict.kind, revision]),
    [
      ['changed', 2],
      ['conflict', 2],
      ['no-such-lease', 2],
      ['changed', 3],
    ],
  )
})

it('is as it was before when the disk is full, and goes on when there is room', () => {
  keyspace.write([puts(1)])
  const pages = integerIn(database.prepare('PRAGMA page_count').first() ?? {}, 'page_count')
  database.execute(`PRAGMA max_page_count = ${pages}`)
  assert.throws(
    () => keyspace.write([puts(1), puts(50, { value: 'x'.repeat(10_000) })]),
    (error) => sqliteFailure(error) === 'full',
  )
  assert.equal(keyspace.range('').revision, 2)
  assert.equal(rowsOf('history'), 1)
  database.execute('PRAGMA max_page_count = 1000000')
  assert.equal(keyspace.write([puts(1)])[0]?.revision, 3)
})
