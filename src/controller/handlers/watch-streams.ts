/** Event streams that resume from a revision: what happened, and how every object is now. Ids are store revisions. */
import type { z } from 'zod'
import type { watchEventSchema } from '../../model/api/cluster-routes.ts'
import type { EventView } from '../../model/api/views.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { flatNetworkId } from '../../model/ids.ts'
import { networksOf } from '../../model/network.ts'
import { toJson } from '../../model/to-json.ts'
import type { Change, ChangeSet } from '../../store/store.ts'
import type { RequestScope } from '../../transport/mount-contract.ts'
import { eventView } from '../views/event-view.ts'
import { hostView, storageView } from '../views/host-view.ts'
import { securityGroupView } from '../views/security-group-view.ts'
import { type ApiContext, findHost, findVm, viewOfTask, viewOfVm } from './api-context.ts'
import { viewOfNetwork } from './network-handlers.ts'
import { viewOfVolume } from './volume-handlers.ts'

type WatchEvent = z.infer<typeof watchEventSchema>

/** What happened, each event once, from the revision after `after`, or from now on. */
export async function* watchEvents(
  context: ApiContext,
  scope: RequestScope,
): AsyncIterable<{ id: number; data: EventView }> {
  for await (const { changes } of changesUnder(context, 'event/', scope)) {
    for (const change of changes)
      if (change.kind === 'put') yield { id: change.entry.modRevision, data: eventView(change.entry) }
  }
}

/** Every change of an object that the API shows, with the object as it is by now. */
export async function* watchNouns(
  context: ApiContext,
  scope: RequestScope,
): AsyncIterable<{ id: number; data: WatchEvent }> {
  for await (const { revision, changes } of changesUnder(context, '', scope)) {
    await context.engine.leader.index.caughtUp(revision)
    const seen = new Set<string>()
    for (const change of changes) {
      const [noun = '', rest = ''] = keyOf(change).split('/')
      // The flat network is the only one of its key.
      const id = noun === 'network' && rest === '' ? flatNetworkId : rest
      if (seen.has(`${noun}/${id}`)) continue
      seen.add(`${noun}/${id}`)
      const object = objectOf(context, { noun, id, change })
      if (object !== undefined)
        yield {
          id: revision,
          data: {
            noun,
            id,
            change: object === null ? 'delete' : 'put',
            object: object === null ? null : toJson(object),
          },
        }
    }
  }
}

function changesUnder(
  { engine }: ApiContext,
  prefix: string,
  { after, signal }: RequestScope,
): AsyncIterable<ChangeSet> {
  const { index, store } = engine.leader
  const afterRevision = after === undefined ? index.revision() : Number(after)
  if (!Number.isSafeInteger(afterRevision) || afterRevision < 0)
    throw new DialtoneError('invalid-input', `${after} is not a revision`)
  return store.watch(prefix, { afterRevision, signal })
}

function keyOf(change: Change): string {
  return change.kind === 'put' ? change.entry.key : change.key
}

/** The object as the API shows it; null when it is gone; undefined when this noun is not shown. */
function objectOf(
  context: ApiContext,
  { noun, id, change }: { readonly noun: string; readonly id: string; readonly change: Change },
): unknown {
  const state = context.engine.leader.index.state()
  const has = (map: ReadonlyMap<string, unknown>) => map.has(id)
  switch (noun) {
    case 'vm':
      return has(state.vms) ? viewOfVm(context, findVm(context, id).spec.id) : null
    case 'host':
      return has(state.hosts) ? hostView(state, findHost(context, id), null) : null
    case 'storage': {
      const storage = [...state.storages.values()].find((one) => one.id === id)
      return storage === undefined ? null : storageView(state, storage)
    }
    case 'template':
      return [...state.templates.values()].find((one) => one.id === id) ?? null
    case 'task': {
      const task = [...state.tasks.values()].find((one) => one.id === id)
      return task === undefined ? null : viewOfTask(task)
    }
    case 'security-group': {
      const group = [...state.securityGroups.values()].find((one) => one.id === id)
      return group === undefined ? null : securityGroupView(state, group)
    }
    case 'network': {
      const network = networksOf(state).find((one) => one.id === id)
      return network === undefined ? null : viewOfNetwork(state, network)
    }
    case 'volume': {
      const volume = [...state.volumes.values()].find((one) => one.id === id)
      return volume === undefined ? null : viewOfVolume(state, volume)
    }
    case 'event':
      return change.kind === 'put' ? eventView(change.entry) : undefined
    default:
      return undefined
  }
}
