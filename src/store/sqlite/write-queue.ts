/** Group commit: while one group waits for the disk, the operations that arrive form the next one. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import { storeLimits } from '../store-limits.ts'
import type { WriteOperation, WriteOutcome } from './sqlite-keyspace.ts'

export type WriteQueue = {
  /** Operations are carried out in the order of the calls. Throws `storage-failed` when too many wait already. */
  readonly submit: (operation: WriteOperation) => Promise<WriteOutcome>
  /** Resolves when nothing waits any more. */
  readonly drained: () => Promise<void>
}

const maxGroupOperations = 256
const maxWaitingOperations = 10_000

export function createWriteQueue(
  write: (operations: readonly WriteOperation[]) => Promise<readonly WriteOutcome[]>,
): WriteQueue {
  type Waiting = { readonly operation: WriteOperation; readonly result: PromiseWithResolvers<WriteOutcome> }
  let waiting: Waiting[] = []
  let pumping: Promise<void> | undefined

  async function pump(): Promise<void> {
    // One tick, so that commits made side by side travel together from the first.
    await Promise.resolve()
    while (waiting.length > 0) {
      const group = waiting.slice(0, groupSize(waiting))
      waiting = waiting.slice(group.length)
      try {
        const outcomes = await write(group.map(({ operation }) => operation))
        for (const [index, { result }] of group.entries()) {
          const outcome = outcomes[index]
          if (outcome === undefined) result.reject(new DialtoneError('internal', 'The store lost a result.'))
          else result.resolve(outcome)
        }
      } catch (error) {
        for (const { result } of group) result.reject(error)
      }
    }
    pumping = undefined
  }

  return {
    submit: (operation) => {
      if (waiting.length >= maxWaitingOperations) {
        return Promise.reject(
          new DialtoneError('storage-failed', `${maxWaitingOperations} writes wait for the disk already.`),
        )
      }
      const result = Promise.withResolvers<WriteOutcome>()
      waiting.push({ operation, result })
      pumping ??= pump()
      return result.promise
    },
    drained: async () => {
      await pumping
    },
  }
}

/** At least one, then as many as stay within a transaction's size together: a group costs memory in both threads. */
function groupSize(waiting: readonly { readonly operation: WriteOperation }[]): number {
  let characters = 0
  let count = 0
  for (const { operation } of waiting) {
    characters += charactersIn(operation)
    if (count > 0 && (count >= maxGroupOperations || characters > storeLimits.transactionBytes)) break
    count += 1
  }
  return count
}

function charactersIn(operation: WriteOperation): number {
  if (operation.kind !== 'commit') return 0
  let sum = 0
  for (const write of operation.transaction.writes) sum += write.kind === 'put' ? write.value.length : 0
  return sum
}
