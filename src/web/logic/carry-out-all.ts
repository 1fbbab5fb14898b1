/** The same for many, some at a time, with one honest list of what became of each. */
import { errorCatalogue } from '../../model/dialtone-error.ts'
import { asDialtoneError } from '../api/console-client.ts'

export type BulkResult =
  | { readonly name: string; readonly outcome: 'accepted' }
  | { readonly name: string; readonly outcome: 'left-out'; readonly reason: string }
  | { readonly name: string; readonly outcome: 'refused'; readonly reason: string; readonly next: string }

export type BulkWork = {
  /** Why it isn't even tried for this one; null when it is. */
  obstacle(name: string): string | null
  carryOut(name: string): Promise<void>
}

const atOnce = 4

/** In the order of the names, whatever the order in which they end. Never rejects. */
export async function carryOutAll(
  names: readonly string[],
  { obstacle, carryOut }: BulkWork,
): Promise<readonly BulkResult[]> {
  const results: BulkResult[] = []
  const waiting = [...names.entries()]
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, name] = next
      results[index] = await carryOutOne(name)
    }
  }
  const carryOutOne = async (name: string): Promise<BulkResult> => {
    const reason = obstacle(name)
    if (reason !== null) return { name, outcome: 'left-out', reason }
    try {
      await carryOut(name)
      return { name, outcome: 'accepted' }
    } catch (caught) {
      const error = asDialtoneError(caught)
      return { name, outcome: 'refused', reason: error.message, next: errorCatalogue[error.code].next }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return results
}
