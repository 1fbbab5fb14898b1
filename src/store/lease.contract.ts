import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createManualClock } from './manual-clock.ts'
import { put, rejectsWith, type StoreContractOptions } from './store.fixture.ts'
import type { ChangeSet, LeaseId, Store, Transaction } from './store.ts'

function putWith(leaseId: LeaseId, ...keys: readonly string[]): Transaction {
  return { conditions: [], writes: keys.map((key) => ({ kind: 'put', key, value: 'x', leaseId })) }
}

async function nextChangeSet(store: Store, afterRevision: number): Promise<ChangeSet | undefined> {
  const { signal } = new AbortController()
  for await (const changeSet of store.watch('', { afterRevision, signal })) return changeSet
  return undefined
}

export function leaseContract(options: StoreContractOptions): void {
  expiryContract(options)
  attachmentContract(options)
}

function expiryContract({ createFixture, isDurable }: StoreContractOptions): void {
  it('deletes the keys of an expired lease in one transaction that watchers see', async () => {
    await using fixture = await createFixture()
    const clock = createManualClock()
    await using store = await fixture.open({ clock })
    const leaseId = await store.grantLease(3000)
    await store.commit(putWith(leaseId, 'b', 'a'))
    await store.commit(put('c', 'x'))
    clock.advance(2999)
    assert.notEqual(await store.get('a'), undefined)
    clock.advance(1)
    assert.deepEqual(await nextChangeSet(store, 3), {
      revision: 4,
      changes: [
        { kind: 'delete', key: 'a', modRevision: 4 },
        { kind: 'delete', key: 'b', modRevision: 4 },
      ],
    })
    assert.equal(await store.keepLeaseAlive(leaseId), false)
    assert.deepEqual(
      (await store.range('')).entries.map((entry) => entry.key),
      ['c'],
    )
  })

  it('lives as long as it is kept alive in time', async () => {
    await using fixture = await createFixture()
    const clock = createManualClock()
    await using store = await fixture.open({ clock })
    const leaseId = await store.grantLease(1000)
    await store.commit(putWith(leaseId, 'a'))
    for (let round = 0; round < 5; round += 1) {
      clock.advance(900)
      assert.equal(await store.keepLeaseAlive(leaseId), true)
    }
    clock.advance(1000)
    assert.equal(await store.keepLeaseAlive(leaseId), false)
    assert.equal((await nextChangeSet(store, 2))?.revision, 3)
  })

  it('expires leases apart, each in its own transaction', async () => {
    await using fixture = await createFixture()
    const clock = createManualClock()
    await using store = await fixture.open({ clock })
    const short = await store.grantLease(1000)
    const long = await store.grantLease(2000)
    await store.commit(putWith(short, 'short'))
    await store.commit(putWith(long, 'long'))
    clock.advance(5000)
    assert.deepEqual((await nextChangeSet(store, 3))?.changes, [{ kind: 'delete', key: 'short', modRevision: 4 }])
    assert.deepEqual((await nextChangeSet(store, 4))?.changes, [{ kind: 'delete', key: 'long', modRevision: 5 }])
  })

  if (!isDurable) return
  it('starts its leases anew, in full, when it is opened again', async () => {
    await using fixture = await createFixture()
    const clock = createManualClock()
    const before = await fixture.open({ clock })
    const leaseId = await before.grantLease(3000)
    await before.commit(putWith(leaseId, 'a'))
    clock.advance(2900)
    await before[Symbol.asyncDispose]()
    await using store = await fixture.open({ clock })
    clock.advance(2900)
    assert.notEqual(await store.get('a'), undefined)
    assert.equal(await store.keepLeaseAlive(leaseId), true)
    clock.advance(3000)
    assert.equal((await nextChangeSet(store, 2))?.revision, 3)
  })
}

function attachmentContract({ createFixture }: StoreContractOptions): void {
  it('takes a key off its lease when it is put without one, or with another', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    const first = await store.grantLease(60_000)
    const second = await store.grantLease(60_000)
    await store.commit(putWith(first, 'stays', 'moves', 'goes'))
    await store.commit(put('stays', 'y'))
    await store.commit(putWith(second, 'moves'))
    await store.revokeLease(first)
    const keys = async () => (await store.range('')).entries.map((entry) => entry.key)
    assert.deepEqual(await keys(), ['moves', 'stays'])
    await store.revokeLease(second)
    assert.deepEqual(await keys(), ['stays'])
  })

  it('does not hang a key put anew on the lease of the one deleted', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    const leaseId = await store.grantLease(60_000)
    await store.commit(putWith(leaseId, 'a'))
    await store.commit({ conditions: [], writes: [{ kind: 'delete', key: 'a' }] })
    await store.commit(put('a', 'y'))
    await store.revokeLease(leaseId)
    assert.notEqual(await store.get('a'), undefined)
  })

  it('changes nothing when a lease without keys ends, or ends twice', async () => {
    await using fixture = await createFixture()
    await using store = await fixture.open()
    const leaseId = await store.grantLease(60_000)
    await store.revokeLease(leaseId)
    await store.revokeLease(leaseId)
    assert.equal(await store.keepLeaseAlive(leaseId), false)
    assert.equal(await store.keepLeaseAlive('never-granted'), false)
    assert.equal((await store.range('')).revision, 1)
  })

  it('refuses to hang a key on a lease that is over, after it has judged the conditions', async () => {
    await using fixture = await createFixture()
    const clock = createManualClock()
    await using store = await fixture.open({ clock })
    const leaseId = await store.grantLease(1000)
    clock.advance(1000)
    await rejectsWith('not-found', store.commit(putWith(leaseId, 'a')))
    const result = await store.commit({ ...putWith(leaseId, 'a'), conditions: [{ key: 'a', modRevision: 9 }] })
    assert.deepEqual(result, { kind: 'conflict', conflicts: ['a'] })
    for (const ttlMs of [0, -1, 0.5, Number.NaN, 2 ** 31]) await rejectsWith('invalid-input', store.grantLease(ttlMs))
  })
}
