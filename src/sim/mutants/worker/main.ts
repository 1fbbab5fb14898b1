/** A worker thread that has one mutant for its product, or the product as it is, and runs the episodes that it is given. */
import { parentPort, workerData } from 'node:worker_threads'
import { z } from 'zod'
import { catalogue } from '../catalogue.ts'
import { serveMutant } from '../serve-mutant.ts'

/** By the number of an episode, which is its seed. */
export type Assigned = { readonly number: number; readonly isCalm: boolean }
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

async function judge({ number, isCalm }: Assigned): Promise<void> {
  const result = await runEpisode(drawHunt(number, isCalm))
  const failovers = isCalm ? result.fenced + result.restarts : 0
  const violations = result.violations.map(({ checker, message }) => ({ checker, message }))
  if (failovers > 0) violations.push({ checker: 'no-false-failover', message: `${failovers} without a failure` })
  parentPort?.postMessage({ number, isCalm, violations } satisfies Judged)
}
