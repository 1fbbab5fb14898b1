/** Figures with their past: loaded once, then followed by their own stream. Nothing polls. */
import { useEffect, useState } from 'react'
import type { FigureHistory, FigureNews } from '../../model/api/figure-routes.ts'
import type { FigureSpan } from '../../model/figures.ts'
import type { ConsoleClient } from '../api/console-client.ts'
import { withNews } from '../logic/figure-charts.ts'
import { useConsole } from './console-context.ts'

/** Of one machine, of each of these hosts, or of the cluster. */
export type FigureTarget =
  | { readonly kind: 'vm'; readonly id: string }
  | { readonly kind: 'hosts'; readonly ids: readonly string[] }
  | { readonly kind: 'cluster' }

export type FigureHistories = ReadonlyMap<string, FigureHistory>

/** By id; `cluster` for all. Null until the first answer. Only the last hour is followed: the steps of the others are longer than a look. */
export function useFigures(target: FigureTarget, span: FigureSpan): FigureHistories | null {
  const { client } = useConsole()
  const [histories, setHistories] = useState<FigureHistories | null>(null)
  const asked = JSON.stringify(target)

  useEffect(() => {
    const ending = new AbortController()
    const { signal } = ending
    const follow = async () => {
      const loaded = await loadHistories(client, target, { span, signal })
      setHistories(loaded)
      if (span !== 'hour') return
      const after = Math.max(0, ...[...loaded.values()].map(({ timesMs }) => timesMs.at(-1) ?? 0))
      const query = target.kind === 'vm' ? { vm: target.id } : { hosts: target.kind === 'hosts' ? 'true' : 'false' }
      const options = { after: after === 0 ? undefined : after, signal, onState: () => undefined }
      for await (const { data } of client.events('watchFigures', { query }, options))
        setHistories((before) => (before === null ? before : withOne(before, data)))
    }
    // Figures are an extra: a page without them is whole, and says that nothing was measured.
    follow().catch(() => {
      if (!signal.aborted) setHistories((before) => before ?? new Map())
    })
    return () => ending.abort()
  }, [client, asked, span])

  return histories
}

async function loadHistories(
  client: ConsoleClient,
  target: FigureTarget,
  { span, signal }: { readonly span: FigureSpan; readonly signal: AbortSignal },
): Promise<FigureHistories> {
  const query = { span }
  switch (target.kind) {
    case 'vm':
      return new Map([[target.id, await client.call('vmFigures', { params: { vm: target.id }, query }, { signal })]])
    case 'cluster':
      return new Map([['cluster', await client.call('clusterFigures', { query }, { signal })]])
    case 'hosts': {
      const load = async (host: string) =>
        [host, await client.call('hostFigures', { params: { host }, query }, { signal })] as const
      return new Map(await Promise.all(target.ids.map(load)))
    }
  }
}

function withOne(histories: FigureHistories, news: FigureNews): FigureHistories {
  const history = histories.get(news.id)
  return history === undefined ? histories : new Map(histories).set(news.id, withNews(history, [news]))
}
