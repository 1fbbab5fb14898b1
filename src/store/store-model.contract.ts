/** Random histories against a model too simple to be wrong: a list of change sets and a map. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { DialtoneError } from '../model/dialtone-error.ts'
import { put, revisionOf, type StoreContractOptions, type StoreFixture } from './store.fixture.ts'
import type { Change, ChangeSet, CommitResult, KeyValue, Store, Transaction, Write } from './store.ts'

type Model = {
  revision: number
  oldest: number
  readonly entries: Map<string, KeyValue>
  readonly history: ChangeSet[]
}

/** `guess`: 0 demands absence, 1 what the model knows, 2 something that never is. */
type Step =
  | {
      readonly kind: 'commit'
      readonly conditions: readonly { key: string; guess: number }[]
      readonly writes: readonly Write[]
    }
  | { readonly kind: 'watch'; readonly prefix: string; readonly from: number }
  | { readonly kind: 'compact'; readonly at: number }
  | { readonly kind: 'reopen' }

const keys = fc.constantFrom('a', 'a/1', 'a/2', 'b', 'b/1', 'b/\u{1f600}')
const writes: fc.Arbitrary<Write> = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), key: keys, value: fc.string({ maxLength: 5, unit: 'binary' }) }),
  fc.record({ kind: fc.constant('delete' as const), key: keys }),
)
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      conditions: fc.array(fc.record({ key: keys, guess: fc.constantFrom(0, 1, 1, 1, 2) }), { maxLength: 2 }),
      writes: fc.uniqueArray(writes, { maxLength: 4, selector: (write) => write.key }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('watch' as const),
      prefix: fc.constantFrom('', 'a', 'a/', 'b/', 'c'),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('compact' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
)

export function modelContract({ createFixture, isDurable }: StoreContractOptions): void {
  it('does what the model does, over random histories', async (context) => {
    const seed = Number(process.env['STORE_SEED'] ?? Date.now() % 1_000_000)
    context.diagnostic(`seed ${seed} (repeat with STORE_SEED=${seed})`)
    const property = fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 40 }), async (history) => {
      await using fixture = await createFixture()
      await runHistory(
        fixture,
        history.filter((step) => isDurable || step.kind !== 'reopen'),
      )
    })
    await fc.assert(property, { seed, numRuns: isDurable ? 40 : 150 })
  })
}

async function runHistory(fixture: StoreFixture, history: readonly Step[]): Promise<void> {
  const model: Model = { revision: 1, oldest: 1, entries: new Map(), history: [] }
  let store = await fixture.open()
  const watchers: Watcher[] = []
  try {
    for (const step of history) {
      if (step.kind === 'commit') {
        const transaction = transactionOf(model, step)
        assert.deepEqual(await store.commit(transaction), commitToModel(model, transaction))
      } else if (step.kind === 'watch') {
        const afterRevision = Math.round(step.from * (model.revision + 2))
        if (afterRevision + 1 < model.oldest) await assertCompacted(store, step.prefix, afterRevision)
        else watchers.push(startWatcher(() => store, step.prefix, afterRevision))
      } else if (step.kind === 'compact') {
        // Only those who have caught up may count on what comes next.
        for (const watcher of watchers) await watcher.reach(model)
        const revision = Math.round(step.at * model.revision)
        await store.compact(revision)
        model.oldest = Math.max(model.oldest, revision)
      } else {
        await store[Symbol.asyncDispose]()
        store = await fixture.open()
      }
      const entries = [...model.entries.values()].toSorted((left, right) =>
        Buffer.compare(Buffer.from(left.key), Buffer.from(right.key)),
      )
      assert.deepEqual(await store.range(''), { revision: model.revision, entries })
    }
    // Three commits more: whoever was to begin in the future has begun, and a repeat of the first would show.
    for (const value of ['last', 'very last', 'end']) {
      const transaction: Transaction = {
        conditions: [],
        writes: ['a/1', 'b/1', 'c'].flatMap((key) => put(key, value).writes),
      }
      assert.deepEqual(revisionOf(await store.commit(transaction)), revisionOf(commitToModel(model, transaction)))
    }
    for (const watcher of watchers) await watcher.reach(model)
  } finally {
    for (const watcher of watchers) await watcher.stop()
    await store[Symbol.asyncDispose]()
  }
}

type Watcher = { readonly reach: (model: Model) => Promise<void>; readonly stop: () => Promise<void> }

/** Watches for good; when the store is closed under it, it resumes in the next one from what it saw last. */
function startWatcher(currentStore: () => Store, prefix: string, afterRevision: number): Watcher {
  const abort = new AbortController()
  const seen: ChangeSet[] = []
  let failure: unknown
  const running = (async () => {
    while (!abort.signal.aborted) {
      const resumeAt = seen.at(-1)?.revision ?? afterRevision
      for await (const changeSet of currentStore().watch(prefix, { afterRevision: resumeAt, signal: abort.signal })) {
        seen.push(changeSet)
      }
      await new Promise(setImmediate)
    }
  })().catch((error: unknown) => {
    failure = error
  })
  return {
    reach: async (model) => {
      const expected = model.history.flatMap((changeSet) => {
        const changes = changeSet.changes.filter((change) => keyOf(change).startsWith(prefix))
        return changeSet.revision > afterRevision && changes.length > 0
          ? [{ revision: changeSet.revision, changes }]
          : []
      })
      const deadline = performance.now() + 5000
      while (seen.length < expected.length && failure === undefined && performance.now() < deadline) {
        await new Promise(setImmediate)
      }
      assert.equal(failure, undefined)
      assert.deepEqual(seen, expected)
    },
    stop: async () => {
      abort.abort()
      await running
    },
  }
}

async function assertCompacted(store: Store, prefix: string, afterRevision: number): Promise<void> {
  const watch = store.watch(prefix, { afterRevision, signal: new AbortController().signal })[Symbol.asyncIterator]()
  await assert.rejects(watch.next(), (error) => error instanceof DialtoneError && error.code === 'revision-compacted')
}

function transactionOf(model: Model, step: Extract<Step, { kind: 'commit' }>): Transaction {
  const conditions = step.conditions.map(({ key, guess }) => {
    const known = model.entries.get(key)?.modRevision ?? 0
    return { key, modRevision: [0, known, model.revision + 5][guess] ?? 0 }
  })
  return { conditions, writes: step.writes }
}

function commitToModel(model: Model, transaction: Transaction): CommitResult {
  const wrong = transaction.conditions.filter(
    ({ key, modRevision }) => (model.entries.get(key)?.modRevision ?? 0) !== modRevision,
  )
  if (wrong.length > 0) return { kind: 'conflict', conflicts: [...new Set(wrong.map(({ key }) => key))] }
  const revision = model.revision + 1
  const changes: Change[] = []
  for (const write of transaction.writes) {
    if (write.kind === 'delete') {
      if (model.entries.delete(write.key)) changes.push({ kind: 'delete', key: write.key, modRevision: revision })
      continue
    }
    const createRevision = model.entries.get(write.key)?.createRevision ?? revision
    const entry = { key: write.key, value: write.value, createRevision, modRevision: revision }
    model.entries.set(write.key, entry)
    changes.push({ kind: 'put', entry })
  }
  if (changes.length > 0) {
    model.revision = revision
    model.history.push({ revision, changes })
  }
  return { kind: 'committed', revision: model.revision }
}

function keyOf(change: Change): string {
  return change.kind === 'put' ? change.entry.key : change.key
}
