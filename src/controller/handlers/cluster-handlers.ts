/** The cluster as a whole, its tasks, events and streams over the API. */
import { addressToNumber } from '../../control/ipv4.ts'
import { commitAndSee, put } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { clusterRoutes } from '../../model/api/cluster-routes.ts'
import type { TaskView } from '../../model/api/views.ts'
import type { NetworkSpec, Task } from '../../model/cluster.ts'
import type { ClusterState } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { flatNetworkId } from '../../model/ids.ts'
import { nicsOf } from '../../model/network.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { examine } from '../doctor/examine.ts'
import { productVersion } from '../product-version.ts'
import { eventView } from '../views/event-view.ts'
import { type ApiContext, viewOfTask } from './api-context.ts'
import { checkFlatNetwork } from './network-handlers.ts'
import { watchEvents, watchNouns } from './watch-streams.ts'

export function clusterHandlers(context: ApiContext): Handlers<typeof clusterRoutes> {
  const { engine } = context
  const { leader } = engine
  const { index, store } = leader
  const findTask = (taskId: string): Task => {
    const task = [...index.state().tasks.values()].find(({ id }) => id === taskId)
    if (task === undefined) throw new DialtoneError('not-found', `there is no task ${taskId}`)
    return task
  }

  return {
    health: () => ({ status: 'ok', version: productVersion }),
    getCluster: () => ({
      ...index.state().cluster,
      version: productVersion,
      term: leader.term,
      network: index.state().network ?? null,
      storeIncarnation: store.incarnation,
      storeRevision: index.revision(),
      holds: [...engine.holds()],
    }),
    async setNetwork({ body }, caller) {
      checkFlatNetwork(body, addressesOutside(index.state(), body))
      const event = leader.events.write({
        kind: 'network.set',
        subject: body.subnet,
        message: `addresses ${body.addressFrom} to ${body.addressTo}`,
        user: caller.name,
      })
      await commitAndSee(leader, { conditions: [], writes: [put(keys.network, body), event] })
      return body
    },
    listTasks: () => ({
      tasks: [...index.state().tasks.values()]
        .map(viewOfTask)
        .sort((left, right) => right.createdAt.localeCompare(left.createdAt)),
    }),
    getTask: ({ params }) => viewOfTask(findTask(params.task)),
    async cancelTask({ params }) {
      const task = findTask(params.task)
      await engine.tasks.cancel(task.id)
      return viewOfTask(findTask(params.task))
    },
    watchTask: ({ params }, _caller, { signal }) => followTask(context, findTask(params.task).id, signal),
    async listEvents({ query }) {
      const { entries } = await store.range('event/')
      return { events: entries.slice(-query.limit).map(eventView) }
    },
    watchEvents: (_input, _caller, scope) => watchEvents(context, scope),
    watch: (_input, _caller, scope) => watchNouns(context, scope),
    doctor: () => examine(context),
  }
}

/** The task as it is, then each time it changes, until it ends. */
async function* followTask(
  { engine }: ApiContext,
  taskId: Task['id'],
  signal: AbortSignal,
): AsyncIterable<{ id: number; data: TaskView }> {
  const { index } = engine.leader
  let lastSent = -1
  while (!signal.aborted) {
    const task = index.state().tasks.get(taskId)
    const revision = index.modRevision(keys.task(taskId))
    if (task !== undefined && revision !== lastSent) {
      lastSent = revision
      yield { id: revision, data: viewOfTask(task) }
    }
    if (task === undefined || task.endedAt !== null) return
    if (index.modRevision(keys.task(taskId)) === lastSent) await nextChange(index, taskId, signal)
  }
}

function nextChange(index: ApiContext['engine']['leader']['index'], id: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      stop()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const stop = index.onChange((touched) => {
      if (touched.some((one) => one.id === id)) finish()
    })
    signal.addEventListener('abort', finish)
    if (signal.aborted) finish()
  })
}

/** Addresses of machines in the flat network that would no longer be assignable. */
function addressesOutside(state: ClusterState, { addressFrom, addressTo }: NetworkSpec): readonly string[] {
  const [from, to] = [addressToNumber(addressFrom), addressToNumber(addressTo)]
  return [...state.vms.values()]
    .flatMap(({ spec }) => nicsOf(spec))
    .filter(({ networkId }) => networkId === flatNetworkId)
    .map(({ address }) => address)
    .filter((address) => addressToNumber(address) < from || addressToNumber(address) > to)
}
