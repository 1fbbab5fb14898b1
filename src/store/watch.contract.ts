import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { it } from 'node:test'
import { put, rejectsWith, remove, type StoreContractOptions } from './store.fixture.ts'
import type { ChangeSet, Store } from './store.ts'

/** Collects change sets until `count` have come. */
async function take(
  store: Store,
  prefix: string,
  options: { readonly afterRevision: number; readonly count: number },
): Promise<ChangeSet[]> {
  const changeSets: ChangeSet[] = []
  const { signal } = new AbortController()
  for await (const changeSet of store.watch(prefix, { afterRevision: options.afterRevision, signal })) {
    changeSets.push(changeSet)
    if (changeSets.length === options.count) break
  }
  return changeSets
}

function revisionsOf(changeSets: readonly ChangeSet[]): number[] {
  return changeSets.map((changeSet) => changeSet.revision)
}

export function watchContract(options: StoreContractOptions): void {
  deliveryContract(options)
  paceContract(options)
  endingContract(options)
  compactionContract(options)
}

function deliveryContract({ createFixture }: StoreContractOptions): void {
  it('yields what one transaction did under the prefix together, and nothing else', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    await store.commit(put('vm/a', '1'))
    await store.commit(put('host/a', '1'))
    await store.commit({
      conditions: [],
      writes: [
        { kind: 'put', key: 'vm/b', value: '2' },
        { kind: 'put', key: 'host/b', value: '2' },
        { kind: 'delete', key: 'vm/a' },
        { kind: 'delete', key: 'vm/absent' },
      ],
    })
    assert.deepEqual(await take(store, 'vm/', { afterRevision: 0, count: 2 }), [
      {
        revision: 2,
        changes: [{ kind: 'put', entry: { key: 'vm/a', value: '1', createRevision: 2, modRevision: 2 } }],
      },
      {
        revision: 4,
        changes: [
          { kind: 'put', entry: { key: 'vm/b', value: '2', createRevision: 4, modRevision: 4 } },
          { kind: 'delete', key: 'vm/a', modRevision: 4 },
        ],
      },
    ])
  })

  it('goes from history to live without a gap or a repeat while others write', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    const total = 3000
    const writing = Promise.all(Array.from({ length: total }, (_, index) => store.commit(put(`k${index % 7}`, 'x'))))
    const watchers = [1, 1, 2, 500, 2999].map((afterRevision) =>
      take(store, '', { afterRevision, count: total + 1 - afterRevision }),
    )
    await writing
    for (const changeSets of await Promise.all(watchers)) {
      const first = total + 2 - changeSets.length
      assert.deepEqual(
        revisionsOf(changeSets),
        changeSets.map((_, index) => first + index),
      )
    }
  })
}

function paceContract({ createFixture }: StoreContractOptions): void {
  it('waits when it is to begin in the future', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    const later = take(store, '', { afterRevision: 3, count: 1 })
    for (let index = 0; index < 3; index += 1) await store.commit(put('a', `${index}`))
    assert.deepEqual(revisionsOf(await later), [4])
  })

  it('lets a watcher dawdle while the store moves on, and still gives it everything in order', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    const { signal } = new AbortController()
    const slow = store.watch('', { afterRevision: 1, signal })[Symbol.asyncIterator]()
    const first = slow.next()
    const total = 2500
    await Promise.all(Array.from({ length: total }, () => store.commit(put('a', 'x'.repeat(2000)))))
    assert.equal((await first).value?.revision, 2)
    for (let revision = 3; revision <= total + 1; revision += 1) {
      assert.equal((await slow.next()).value?.revision, revision)
    }
    await slow.return?.()
  })

  it('refuses to begin at what is not a revision', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    await rejectsWith('invalid-input', take(store, '', { afterRevision: -1, count: 1 }))
  })
}

function endingContract({ createFixture }: StoreContractOptions): void {
  it('ends at once on an abort, and leaves no listener behind', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    await store.commit({ ...put('a', '1') })
    await store.commit(put('a', '2'))
    const abort = new AbortController()
    const waiting = store.watch('', { afterRevision: 3, signal: abort.signal })[Symbol.asyncIterator]()
    const reading = store.watch('', { afterRevision: 1, signal: abort.signal })[Symbol.asyncIterator]()
    const idle = waiting.next()
    assert.equal((await reading.next()).value?.revision, 2)
    abort.abort()
    assert.equal((await idle).done, true)
    assert.equal((await reading.next()).done, true)
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0)
    const late = store.watch('', { afterRevision: 1, signal: abort.signal })[Symbol.asyncIterator]()
    assert.equal((await late.next()).done, true)
  })

  it('ends when the store is disposed', async () => {
    await using fixture = await createFixture()
    const store = await fixture.open()
    const { signal } = new AbortController()
    const pending = store.watch('', { afterRevision: 1, signal })[Symbol.asyncIterator]().next()
    await store[Symbol.asyncDispose]()
    assert.equal((await pending).done, true)
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })
}

function compactionContract({ createFixture }: StoreContractOptions): void {
  it('forgets the history below a revision, but not the present', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    for (let index = 0; index < 6; index += 1) await store.commit(put(`k${index}`, 'x'))
    const { signal } = new AbortController()
    const behind = store.watch('', { afterRevision: 1, signal })[Symbol.asyncIterator]()
    await store.compact(5)
    await store.compact(3)
    await rejectsWith('revision-compacted', behind.next())
    await rejectsWith('revision-compacted', take(store, '', { afterRevision: 3, count: 1 }))
    assert.deepEqual(revisionsOf(await take(store, '', { afterRevision: 4, count: 3 })), [5, 6, 7])
    assert.equal((await store.range('')).entries.length, 6)
    await rejectsWith('invalid-input', store.compact(8))
    await store.compact(7)
    assert.deepEqual(revisionsOf(await take(store, '', { afterRevision: 6, count: 1 })), [7])
  })

  it('does not disturb a watcher that has caught up', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    const caughtUp = take(store, 'b', { afterRevision: 1, count: 1 })
    for (let index = 0; index < 5; index += 1) await store.commit(put('a', 'x'))
    await store.compact((await store.range('')).revision)
    await store.commit(put('b', 'x'))
    assert.deepEqual(revisionsOf(await caughtUp), [7])
  })

  it('keeps no more history than it was told to', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open({ historyRevisions: 10 })
    for (let index = 0; index < 30; index += 1) await store.commit(index % 3 === 2 ? remove('a') : put('a', 'x'))
    await rejectsWith('revision-compacted', take(store, '', { afterRevision: 20, count: 1 }))
    assert.deepEqual(revisionsOf(await take(store, '', { afterRevision: 21, count: 10 })).at(-1), 31)
  })
}
