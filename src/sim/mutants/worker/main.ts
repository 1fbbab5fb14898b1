/** A worker thread that has one mutant for its product, or the product as it is, and runs the episodes that it is given. */
import { parentPort, workerData } from 'node:worker_threads'
import { z } from 'zod'
import { catalogue } from '../catalogue.ts'
import type { HuntKind } from '../draw-hunt.ts'
import { serveMutant } from '../serve-mutant.ts'

/** By the number of an episode, which is its seed. */
export type Assigned = { readonly number: number; readonly kind: HuntKind }
export type Judged = Assigned & {
  readonly violations: readonly { readonly checker: string; readonly message: string }[]
}

Error.stackTraceLimit = 0

const { mutantId } = z.object({ mutantId: z.string().nullable() }).parse(workerData)
const mutant = mutantId === null ? undefined : catalogue.find(({ id }) => id === mutantId)
if (mutantId !== null && mutant === undefined) throw new Error(`there is no mutant ${mutantId}`)
const served = mutant === undefined ? undefined : serveMutant(mutant)
// Only now: what is imported from here on is the mutant.
const { runEpisode } = await import('../../episode/run-episode.ts')
const { drawHunt } = await import('../draw-hunt.ts')
const unread = served?.unread() ?? []
if (unread.length > 0) throw new Error(`the simulator does not run ${unread.join(', ')}`)

parentPort?.on('message', (assigned: Assigned) => {
  void judge(assigned)
})

/** Two leases and a start: by then what a lost host ran is elsewhere. */
const elsewhereWithinMs = 10_000

async function judge({ number, kind }: Assigned): Promise<void> {
  const result = await runEpisode(drawHunt(number, kind))
  const violations = result.violations.map(({ checker, message }) => ({ checker, message }))
  const failovers = result.fenced + result.restarts
  if (kind === 'calm' && failovers > 0)
    violations.push({ checker: 'no-false-failover', message: `${failovers} without a failure` })
  const slowestMs = Math.max(0, ...result.recoveriesMs)
  if (kind === 'single' && slowestMs > elsewhereWithinMs)
    violations.push({ checker: 'recovers-in-time', message: `a machine was away for ${Math.round(slowestMs)} ms` })
  parentPort?.postMessage({ number, kind, violations } satisfies Judged)
}
