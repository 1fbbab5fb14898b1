import type { Figure } from './figure.ts'

/** One measurement with its cases: brings up what it needs, takes its samples, and clears everything away. */
export type Bench = {
  readonly name: string
  readonly cases: readonly string[]
  readonly defaultRuns: number
  run(options: BenchOptions): Promise<readonly Figure[]>
}

export type BenchOptions = {
  readonly cases: readonly string[]
  readonly runs: number
  note(line: string): void
}

/** A bench whose cases are measured one after the other, each in the same way. */
export function benchOfCases<Case>(
  {
    name,
    cases,
    defaultRuns,
  }: Pick<Bench, 'name' | 'defaultRuns'> & { readonly cases: Readonly<Record<string, Case>> },
  measure: (name: string, one: Case, options: Pick<BenchOptions, 'runs' | 'note'>) => Promise<readonly Figure[]>,
): Bench {
  return {
    name,
    cases: Object.keys(cases),
    defaultRuns,
    async run({ cases: chosen, ...options }) {
      const figures: Figure[] = []
      for (const each of chosen) {
        const one = cases[each]
        if (one !== undefined) figures.push(...(await measure(each, one, options)))
      }
      return figures
    },
  }
}
