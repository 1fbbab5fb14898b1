/**
 * Takes in what agents measure, keeps it at falling resolution and tells whoever follows it: the last hour in memory in steps of seconds,
 * a week in steps of minutes and a year in steps of hours in files. What was not yet part of a step that has ended is lost with the process.
 */
import { asHistory, type FigurePoint, meanOf } from '../../control/figures/figure-points.ts'
import { createRecentFigures, type RecentFigures } from '../../control/figures/recent-figures.ts'
import type { FigureHistory, FigureNews } from '../../model/api/figure-routes.ts'
import {
  addFigures,
  type FigureReport,
  type FigureSpan,
  type Figures,
  figureSpans,
  figuresEveryMs,
  noFigures,
} from '../../model/figures.ts'
import type { HostId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import type { FigureFiles } from './figure-files.ts'

/** All hosts together, under this name among the ids of hosts and machines. */
export const wholeCluster = 'cluster'

export type FigureDesk = {
  receive(hostId: HostId, report: FigureReport): void
  /** The newest that is not older than this; undefined for who is silent. */
  newest(subject: string, notOlderMs?: number): FigurePoint | undefined
  history(subject: string, span: FigureSpan): Promise<FigureHistory>
  /** What comes in of these, in order, after this time or from now on, until the signal aborts. */
  watch(
    subjects: () => readonly string[],
    options: { readonly afterMs: number | undefined; readonly signal: AbortSignal },
  ): AsyncIterable<FigureNews>
  /** Only these are remembered. */
  keepOnly(subjects: ReadonlySet<string>): Promise<void>
  /** Resolves when what has come in so far is in its files. */
  written(): Promise<void>
}

export type FigureDeskOptions = {
  readonly files: FigureFiles
  readonly logger: Logger
  nowMs(): number
}

/** Who was not heard of for so long is not counted as taking anything. */
const staleAfterMs = 4 * figuresEveryMs

export function createFigureDesk({ files, logger, nowMs }: FigureDeskOptions): FigureDesk {
  const recent = new Map<string, RecentFigures>()
  const bell = createBell()
  const hostsHeard = new Set<HostId>()
  let writing = Promise.resolve()

  const newest = (subject: string, notOlderMs = staleAfterMs): FigurePoint | undefined => {
    const point = recent.get(subject)?.newest()
    return point !== undefined && nowMs() - point.atMs <= notOlderMs ? point : undefined
  }
  const take = (subject: string, point: FigurePoint): void => {
    const figures = recent.get(subject) ?? createRecentFigures()
    recent.set(subject, figures)
    const ended = figures.add(point)
    if (ended !== undefined) writing = writing.then(() => write(subject, ended))
  }
  const write = async (subject: string, point: FigurePoint): Promise<void> => {
    try {
      await writeStep(files, subject, point)
    } catch (error) {
      logger.warn('figures.not-written', { subject, error })
    }
  }

  return {
    newest,
    receive(hostId, { host, machines }) {
      const atMs = nowMs()
      hostsHeard.add(hostId)
      take(hostId, { atMs, figures: host })
      for (const { vmId, figures } of machines) take(vmId, { atMs, figures })
      const isDue = atMs - (recent.get(wholeCluster)?.newest()?.atMs ?? 0) >= figuresEveryMs
      const all = [...hostsHeard].flatMap((one) => newest(one)?.figures ?? [])
      if (isDue) take(wholeCluster, { atMs, figures: all.reduce(addFigures, noFigures) })
      bell.ring()
    },
    async history(subject, span) {
      const until = nowMs()
      const inMemory = recent.get(subject)?.after(until - figureSpans.hour.spanMs) ?? []
      const points = await pointsOf({ files, subject, until, inMemory }, span)
      return asHistory(
        span,
        points.filter(({ atMs }) => atMs > until - figureSpans[span].spanMs),
      )
    },
    async *watch(subjects, { afterMs, signal }) {
      let last = afterMs ?? nowMs()
      while (!signal.aborted) {
        const news = subjects().flatMap((id) => (recent.get(id)?.after(last) ?? []).map((point) => ({ id, ...point })))
        for (const one of news.toSorted((left, right) => left.atMs - right.atMs)) {
          last = one.atMs
          yield one
        }
        await bell.next(signal)
      }
    },
    async keepOnly(subjects) {
      const isKept = (subject: string) => subject === wholeCluster || subjects.has(subject)
      for (const subject of recent.keys()) if (!isKept(subject)) recent.delete(subject)
      for (const hostId of hostsHeard) if (!isKept(hostId)) hostsHeard.delete(hostId)
      for (const subject of await files.list()) if (!isKept(subject)) await files.remove(subject)
    },
    written: () => writing,
  }
}

/** The step of hours that it is in is made anew from its steps of minutes: so it is right also when this process began in it. */
async function writeStep(files: FigureFiles, subject: string, point: FigurePoint): Promise<void> {
  await files.write(subject, 'week', point)
  const { stepMs } = figureSpans.year
  const beganAtMs = Math.floor(point.atMs / stepMs) * stepMs
  const steps = await files.read(subject, 'week', point.atMs)
  const figures = meanOf(steps.filter(({ atMs }) => atMs >= beganAtMs))
  if (figures !== undefined) await files.write(subject, 'year', { atMs: beganAtMs, figures })
}

type Sought = {
  readonly files: FigureFiles
  readonly subject: string
  readonly until: number
  /** The last hour of it. */
  readonly inMemory: readonly FigurePoint[]
}

/** Where the finer steps begin, the coarser ones end; what has not become a step yet is its newest point. */
async function pointsOf(
  { files, subject, until, inMemory }: Sought,
  span: FigureSpan,
): Promise<readonly FigurePoint[]> {
  if (span === 'year') return files.read(subject, 'year', until)
  const week = await files.read(subject, 'week', until)
  const stepMs = figureSpans.week.stepMs
  if (span === 'hour') {
    const begins = inMemory[0]?.atMs ?? until
    return [...week.filter(({ atMs }) => atMs + stepMs <= begins), ...inMemory]
  }
  const ended = (week.at(-1)?.atMs ?? -stepMs) + stepMs
  const since = inMemory.filter(({ atMs }) => atMs >= ended)
  const figures: Figures | undefined = meanOf(since)
  return figures === undefined ? week : [...week, { atMs: since[0]?.atMs ?? until, figures }]
}

type Bell = { ring(): void; next(signal: AbortSignal): Promise<void> }

/** Wakes everybody who waits for the next report. */
function createBell(): Bell {
  let rung = Promise.withResolvers<void>()
  return {
    ring() {
      rung.resolve()
      rung = Promise.withResolvers<void>()
    },
    async next(signal) {
      const aborted = Promise.withResolvers<void>()
      const finish = () => aborted.resolve()
      signal.addEventListener('abort', finish)
      if (!signal.aborted) await Promise.race([rung.promise, aborted.promise])
      signal.removeEventListener('abort', finish)
    },
  }
}
