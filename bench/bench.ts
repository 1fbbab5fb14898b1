import type { Figure } from './figure.ts'

/** One measurement with its cases: brings up what it needs, takes its samples, and clears everything away. */
export type Bench = {
  readonly name: string
  readonly cases: readonly string[]
  readonly defaultRuns: number
  run(options: {
    readonly cases: readonly string[]
    readonly runs: number
    note(line: string): void
  }): Promise<readonly Figure[]>
}
