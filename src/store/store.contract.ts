/** What every sibling promises, as tests. Each runs the whole suite over its own fixture. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { leaseContract } from './lease.contract.ts'
import { put, rejectsWith, remove, revisionOf, type StoreContractOptions } from './store.fixture.ts'
import type { Revision, Store, Transaction } from './store.ts'
import { storeLimits } from './store-limits.ts'
import { modelContract } from './store-model.contract.ts'
import { watchContract } from './watch.contract.ts'

export function storeContract(name: string, options: StoreContractOptions): void {
  describe(`${name} store: contract`, () => {
    transactionContract(options)
    raceAndCloseContract(options)
    rangeContract(options)
    limitContract(options)
    watchContract(options)
    leaseContract(options)
    if (options.isDurable) durabilityContract(options)
    modelContract(options)
  })
}

function transactionContract({ createFixture }: StoreContractOptions): void {
  it('starts at revision 1 with nothing in it', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    assert.deepEqual(await store.range(''), { revision: 1, entries: [] })
    assert.equal(await store.get('a'), undefined)
    assert.notEqual(store.incarnation, '')
  })

  it('counts a revision for each transaction that changes something', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    assert.equal(revisionOf(await store.commit(put('a', '1'))), 2)
    assert.equal(revisionOf(await store.commit(put('a', '1'))), 3)
    assert.equal(revisionOf(await store.commit(remove('absent'))), 3)
    assert.equal(revisionOf(await store.commit({ conditions: [], writes: [] })), 3)
    assert.deepEqual(await store.get('a'), { key: 'a', value: '1', createRevision: 2, modRevision: 3 })
  })

  it('gives a key a new creation after its deletion', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    await store.commit(put('a', '1'))
    await store.commit(remove('a'))
    assert.equal(await store.get('a'), undefined)
    await store.commit(put('a', '2'))
    assert.deepEqual(await store.get('a'), { key: 'a', value: '2', createRevision: 4, modRevision: 4 })
  })

  it('writes nothing when a condition fails, and names each key that was not as demanded', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    await store.commit(put('a', '1'))
    const result = await store.commit({
      conditions: [
        { key: 'c', modRevision: 7 },
        { key: 'a', modRevision: 2 },
        { key: 'b', modRevision: 0 },
        { key: 'a', modRevision: 0 },
      ],
      writes: [{ kind: 'put', key: 'b', value: 'x' }],
    })
    assert.deepEqual(result, { kind: 'conflict', conflicts: ['c', 'a'] })
    assert.equal((await store.range('')).revision, 2)
  })
}

function raceAndCloseContract({ createFixture }: StoreContractOptions): void {
  it('lets exactly one of many racing compare-and-swaps win, each round', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    let modRevision = 0
    for (let round = 0; round < 5; round += 1) {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          store.commit({
            conditions: [{ key: 'owner', modRevision }],
            writes: [{ kind: 'put', key: 'owner', value: `${index}` }],
          }),
        ),
      )
      const [winner, ...others] = results.filter((result) => result.kind === 'committed')
      assert.deepEqual(others, [])
      modRevision = winner?.revision ?? 0
      assert.equal((await store.get('owner'))?.modRevision, modRevision)
    }
  })

  it('refuses calls after it was disposed', async () => {
    await using fixture = await createFixture()
    const store = await fixture.open()
    await store[Symbol.asyncDispose]()
    await rejectsWith('storage-failed', store.get('a'))
    await rejectsWith('storage-failed', store.commit(put('a', '1')))
    await store[Symbol.asyncDispose]()
  })
}

function rangeContract({ createFixture }: StoreContractOptions): void {
  it('ranges over a prefix in the order of UTF-8 bytes', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    const keys = ['vm/b', 'vm/a', 'vm0', 'vm', 'vm/\u{1f600}', 'vm/\uff5e', 'vm/é', 'wm/a']
    await store.commit({ conditions: [], writes: keys.map((key) => ({ kind: 'put', key, value: key })) })
    const { entries, revision } = await store.range('vm/')
    assert.equal(revision, 2)
    assert.deepEqual(
      entries.map((entry) => entry.key),
      ['vm/a', 'vm/b', 'vm/é', 'vm/\uff5e', 'vm/\u{1f600}'],
    )
    assert.equal((await store.range('')).entries.length, keys.length)
  })

  it('keeps every key findable through many insertions and deletions', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    const keys = Array.from({ length: 5000 }, (_, index) => `k/${(index * 7919) % 5000}`)
    for (let from = 0; from < keys.length; from += 500) {
      const writes = keys.slice(from, from + 500).map((key) => ({ kind: 'put', key, value: '' }) as const)
      await store.commit({ conditions: [], writes })
    }
    const sorted = keys.toSorted()
    assert.deepEqual(
      (await store.range('k/')).entries.map((entry) => entry.key),
      sorted,
    )
    for (let from = 0; from < 4900; from += 490) {
      const writes = keys.slice(from, from + 490).map((key) => ({ kind: 'delete', key }) as const)
      await store.commit({ conditions: [], writes })
    }
    assert.deepEqual(
      (await store.range('k/')).entries.map((entry) => entry.key),
      keys.slice(4900).toSorted(),
    )
  })

  it('returns values as they were put, whatever characters they hold', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    for (const value of ['', 'a\u0000b', '\u{1f600}é\n', 'x'.repeat(storeLimits.valueBytes)]) {
      await store.commit(put('a\u0000/é', value))
      assert.equal((await store.get('a\u0000/é'))?.value, value)
    }
  })
}

function limitContract({ createFixture }: StoreContractOptions): void {
  it('refuses what is too large or malformed, and takes what just fits', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    const writes = (count: number, value = '') =>
      Array.from({ length: count }, (_, index) => ({ kind: 'put', key: `k${index}`, value }) as const)
    const refused: Transaction[] = [
      put('', 'x'),
      put('k'.repeat(1025), 'x'),
      put('é'.repeat(513), 'x'),
      put('a', 'x'.repeat(storeLimits.valueBytes + 1)),
      put('a', 'é'.repeat(storeLimits.valueBytes / 2 + 1)),
      put('\ud800', 'x'),
      put('a', '\ud800'),
      { conditions: [], writes: writes(513) },
      { conditions: [], writes: writes(9, 'x'.repeat(storeLimits.valueBytes)) },
      { conditions: [], writes: [...writes(2), { kind: 'delete', key: 'k1' }] },
      { conditions: [{ key: 'a', modRevision: -1 }], writes: [] },
      { conditions: [{ key: 'a', modRevision: 1.5 }], writes: [] },
      { conditions: writes(513).map(({ key }) => ({ key, modRevision: 0 })), writes: [] },
    ]
    for (const transaction of refused) await rejectsWith('invalid-input', store.commit(transaction))
    assert.equal((await store.range('')).revision, 1)
    await store.commit(put('k'.repeat(1024), 'x'.repeat(storeLimits.valueBytes)))
    await store.commit({ conditions: [], writes: writes(512) })
    assert.equal((await store.range('')).revision, 3)
  })
}

function durabilityContract({ createFixture }: StoreContractOptions): void {
  it('is the same after it was opened again: incarnation, revision, entries, history', async () => {
    await using fixture = await createFixture()
    let incarnation = ''
    {
      await using store = await fixture.open()
      incarnation = store.incarnation
      await store.commit(put('a', '1'))
      await store.commit(put('b', '1'))
      await store.commit(remove('a'))
    }
    await using store = await fixture.open()
    assert.equal(store.incarnation, incarnation)
    assert.deepEqual(await store.range(''), {
      revision: 4,
      entries: [{ key: 'b', value: '1', createRevision: 3, modRevision: 3 }],
    })
    const abort = new AbortController()
    const revisions: Revision[] = []
    for await (const changeSet of store.watch('a', { afterRevision: 0, signal: abort.signal })) {
      revisions.push(changeSet.revision)
      if (changeSet.revision === 4) abort.abort()
    }
    assert.deepEqual(revisions, [2, 4])
    assert.equal(revisionOf(await store.commit(put('a', '2'))), 5)
  })

  it('remembers where its history begins when it is opened again', async () => {
    await using fixture = await createFixture()
    {
      await using store = await fixture.open({ historyRevisions: 10 })
      for (let index = 0; index < 30; index += 1) await store.commit(put('a', `${index}`))
    }
    await using store = await fixture.open({ historyRevisions: 10 })
    await assertHistoryFrom(store, 22, 31)
    await store.compact(27)
    await assertHistoryFrom(store, 27, 31)
  })
}

async function assertHistoryFrom(store: Store, oldest: Revision, newest: Revision): Promise<void> {
  const abort = new AbortController()
  const { signal } = abort
  await rejectsWith('revision-compacted', firstOf(store.watch('', { afterRevision: oldest - 2, signal })))
  let expected = oldest
  for await (const changeSet of store.watch('', { afterRevision: oldest - 1, signal })) {
    assert.equal(changeSet.revision, expected)
    if (expected === newest) abort.abort()
    expected += 1
  }
}

async function firstOf<Item>(items: AsyncIterable<Item>): Promise<Item | undefined> {
  for await (const item of items) return item
  return undefined
}
