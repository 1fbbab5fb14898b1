/** Runs episodes on one mutant until one of the checkers that are to notice it objects, in an episode in which nobody objects to the product. */
import { Worker } from 'node:worker_threads'
import type { HuntKind } from './draw-hunt.ts'
import type { CheckerName, Mutant } from './mutant.ts'
import type { Assigned, Judged } from './worker/main.ts'

export type Hunt =
  | {
      readonly kind: 'caught'
      readonly by: readonly string[]
      readonly episodes: number
      readonly number: number
      readonly message: string
    }
  | { readonly kind: 'survived'; readonly episodes: number; readonly alsoSeen: readonly string[] }

export type HuntOptions = {
  readonly mostEpisodes: number
  readonly firstNumber: number
  /** The checkers that object to the product itself in this episode: what they see there is not the mutant. */
  plain(assigned: Assigned): Promise<readonly string[]>
}

/** Longer than any episode takes: one that goes on for ever is noticed, too. */
const longestEpisodeMs = 120_000

export async function huntMutant(mutant: Mutant, { mostEpisodes, firstNumber, plain }: HuntOptions): Promise<Hunt> {
  await using thread = openThread(mutant.id)
  const alsoSeen = new Set<string>()
  for (let episodes = 1; episodes <= mostEpisodes; episodes += 1) {
    const number = firstNumber + episodes - 1
    const assigned = { number, kind: mutant.shownBy ?? kindFor(mutant.caughtBy, number) }
    const { violations } = await thread.judge(assigned)
    const wanted = violations.filter(({ checker }) => isExpected(mutant.caughtBy, checker))
    if (violations.length === 0) continue
    const usual = await plain(assigned)
    const news = wanted.filter(({ checker }) => !usual.includes(checker))
    const [first] = news
    if (first !== undefined && usual.length === 0)
      return {
        kind: 'caught',
        by: [...new Set(news.map(({ checker }) => checker))],
        episodes,
        number,
        message: first.message,
      }
    if (usual.length === 0) for (const { checker } of violations) alsoSeen.add(checker)
  }
  return { kind: 'survived', episodes: mostEpisodes, alsoSeen: [...alsoSeen] }
}

/** Whatever breaks or never ends is noticed by anybody. */
function isExpected(caughtBy: readonly CheckerName[], checker: string): boolean {
  return caughtBy.some((name) => name === checker) || checker === 'nothing-breaks' || checker === 'episode-ends'
}

/** Episodes of a kind are for those whose checker looks at that kind only: all of them, or every fifth beside the others. */
function kindFor(caughtBy: readonly CheckerName[], number: number): HuntKind {
  const special: readonly (readonly [CheckerName, HuntKind])[] = [
    ['no-false-failover', 'calm'],
    ['recovers-in-time', 'single'],
  ]
  for (const [index, [checker, kind]] of special.entries()) {
    if (!caughtBy.includes(checker)) continue
    if (caughtBy.length === 1 || number % 5 === index) return kind
  }
  return 'faulty'
}

/** As `../many/main.ts`. */
const resourceLimits = { maxYoungGenerationSizeMb: 128 }

export type Thread = AsyncDisposable & { judge(assigned: Assigned): Promise<Judged> }

/** One mutant, or with null the product as it is, in a thread of its own. Episodes are judged one at a time. */
export function openThread(mutantId: string | null): Thread {
  const worker = new Worker(new URL('./worker/main.ts', import.meta.url), { workerData: { mutantId }, resourceLimits })
  let broken: Error | undefined
  let settle: (result: Judged | Error) => void = () => undefined
  worker.on('message', (judged: Judged) => settle(judged))
  worker.on('error', (error: Error) => {
    broken = error
    settle(error)
  })
  return {
    async judge(assigned) {
      const { promise, resolve } = Promise.withResolvers<Judged | Error>()
      settle = resolve
      const tooLong = new Error(`the episode did not end within ${longestEpisodeMs / 1000} s`)
      const timer = setTimeout(() => resolve(tooLong), longestEpisodeMs)
      if (broken !== undefined) resolve(broken)
      else worker.postMessage(assigned)
      const result = await promise.finally(() => clearTimeout(timer))
      if (!(result instanceof Error)) return result
      const checker = result === tooLong ? 'episode-ends' : 'nothing-breaks'
      return { ...assigned, violations: [{ checker, message: result.message }] }
    },
    async [Symbol.asyncDispose]() {
      await worker.terminate()
    },
  }
}
