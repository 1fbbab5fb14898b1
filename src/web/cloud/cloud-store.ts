/** Follows the cloud: loads it once, then only listens. A lost connection is said and taken up again where it was. */
import type { DialtoneError } from '../../model/dialtone-error.ts'
import { asDialtoneError, type ConsoleClient } from '../api/console-client.ts'
import { applyChanges, type CloudChange, type CloudState, keptEvents } from './cloud-state.ts'

export type Connection =
  | { readonly kind: 'loading' }
  | { readonly kind: 'live' }
  | { readonly kind: 'lost'; readonly sinceMs: number; readonly error: DialtoneError }
  /** The session is over: only signing in helps. */
  | { readonly kind: 'signed-out' }

export type CloudView = {
  readonly connection: Connection
  /** Null until it was loaded for the first time; what is shown while the connection is lost is what was known last. */
  readonly state: CloudState | null
}

export type CloudStore = {
  view(): CloudView
  subscribe(listener: () => void): () => void
  /** Follows until the signal aborts. */
  follow(signal: AbortSignal): Promise<void>
}

export type StoreSurroundings = {
  nowMs(): number
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>
}

/** Changes of this long are shown together: a screen cannot show more, and a browser should not try. */
const gatherMs = 40
const retryMs = 1_000

export function createCloudStore(client: ConsoleClient, { nowMs, sleep }: StoreSurroundings): CloudStore {
  const listeners = new Set<() => void>()
  let view: CloudView = { connection: { kind: 'loading' }, state: null }
  const show = (next: Partial<CloudView>) => {
    view = { ...view, ...next }
    for (const listener of listeners) listener()
  }
  const onState = (error: DialtoneError | null) => {
    if (error === null) return show({ connection: { kind: 'live' } })
    const sinceMs = view.connection.kind === 'lost' ? view.connection.sinceMs : nowMs()
    show({ connection: { kind: 'lost', sinceMs, error } })
  }

  /** From the first look to the end of what a stream can tell. */
  async function followOnce(signal: AbortSignal): Promise<void> {
    const { state, revision } = await loadCloud(client, signal)
    show({ state })
    let waiting: CloudChange[] = []
    for await (const { data } of client.events('watch', {}, { after: revision, signal, onState })) {
      waiting.push(data)
      if (waiting.length > 1) continue
      void sleep(gatherMs, signal).then(() => {
        const changes = waiting
        waiting = []
        if (view.state !== null && !signal.aborted) show({ state: applyChanges(view.state, changes) })
      })
    }
  }

  return {
    view: () => view,
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    async follow(signal) {
      while (!signal.aborted) {
        try {
          await followOnce(signal)
        } catch (caught) {
          if (signal.aborted) return
          const error = asDialtoneError(caught)
          if (error.code === 'unauthenticated') return show({ connection: { kind: 'signed-out' } })
          // Also a history that is gone: everything is loaded anew.
          onState(error)
        }
        await sleep(retryMs, signal)
      }
    },
  }
}

async function loadCloud(client: ConsoleClient, signal: AbortSignal) {
  const limits = { signal }
  // First: what changes while the rest is loaded comes again in the stream.
  const cluster = await client.call('getCluster', {}, limits)
  const [vms, hosts, storages, templates, tasks, events] = await Promise.all([
    client.call('listVms', {}, limits),
    client.call('listHosts', {}, limits),
    client.call('listStorages', {}, limits),
    client.call('listTemplates', {}, limits),
    client.call('listTasks', {}, limits),
    client.call('listEvents', { query: { limit: keptEvents } }, limits),
  ])
  const state: CloudState = {
    cluster,
    vms: byId(vms.vms),
    hosts: byId(hosts.hosts),
    storages: byId(storages.storages),
    templates: byId(templates.templates),
    tasks: byId(tasks.tasks),
    events: events.events.toReversed(),
  }
  return { state, revision: cluster.storeRevision }
}

function byId<T extends { readonly id: string }>(items: readonly T[]): ReadonlyMap<string, T> {
  return new Map(items.map((item) => [item.id, item]))
}
