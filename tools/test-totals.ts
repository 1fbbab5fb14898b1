/** Adds up the totals of several runs of Node's test runner, so that one report closes with one set of counts. */
import type { TestEvent } from 'node:test/reporters'

export type TestTotals = {
  readonly add: (event: TestEvent) => void
  /** False if a run failed, or if nothing was tested. */
  isPassed(): boolean
  /** The sums, in the words and the order of Node's own report, which other programs read. */
  closingEvents(): readonly TestEvent[]
}

export function createTestTotals(): TestTotals {
  const sums = new Map<string, number>()
  let isEveryRunPassed = true
  return {
    add: (event) => {
      const total = totalOf(event)
      if (total !== undefined) sums.set(total.name, (sums.get(total.name) ?? 0) + total.amount)
      if (event.type === 'test:summary' && event.data.file === undefined) isEveryRunPassed &&= event.data.success
    },
    isPassed: () => isEveryRunPassed && (sums.get('tests') ?? 0) > 0,
    closingEvents: () => [...sums].map(([name, sum]) => diagnostic(`${name} ${sum}`)),
  }
}

/** The count that a run closes with, such as `pass 12`, if the event is one. */
export function totalOf(event: TestEvent): { readonly name: string; readonly amount: number } | undefined {
  if (event.type !== 'test:diagnostic' || event.data.nesting !== 0 || event.data.file !== undefined) return undefined
  const [, name, amount] = /^([a-z_]+) ([\d.]+)$/.exec(event.data.message) ?? []
  return name === undefined ? undefined : { name, amount: Number(amount) }
}

function diagnostic(message: string): TestEvent {
  return { type: 'test:diagnostic', data: { nesting: 0, message, level: 'info' } }
}
