/** Storages and templates over the API. */
import { commitAndSee, put } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { hostRoutes } from '../../model/api/host-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { makeId, storageIdSchema } from '../../model/ids.ts'
import type { StorageSpec } from '../../model/storage.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { storageView } from '../views/host-view.ts'
import { type ApiContext, findHost, viewOfTask } from './api-context.ts'

type HostHandlers = Handlers<typeof hostRoutes>
type StorageBody = Parameters<HostHandlers['createStorage']>[0]['body']

export function storageHandlers(
  context: ApiContext,
): Pick<HostHandlers, 'listStorages' | 'createStorage' | 'listTemplates' | 'buildTemplate'> {
  const { engine } = context
  const state = () => engine.leader.index.state()
  return {
    listStorages: () => ({ storages: [...state().storages.values()].map((storage) => storageView(state(), storage)) }),
    createStorage: ({ body }, caller) => createStorage(context, body, caller),
    listTemplates: () => ({ templates: [...state().templates.values()] }),
    async buildTemplate({ body: { recipe } }, caller) {
      const { task, write } = engine.tasks.prepare({
        kind: 'template.build',
        subject: recipe,
        user: caller.name,
        journal: { recipe },
      })
      await commitAndSee(engine.leader, { conditions: [], writes: [write] })
      engine.tasks.begin(task.id)
      return { task: viewOfTask(task) }
    },
  }
}

async function createStorage(context: ApiContext, body: StorageBody, caller: Caller) {
  const { leader } = context.engine
  if (body.shared && body.host !== undefined)
    throw new DialtoneError('invalid-input', 'a shared storage belongs to no single host')
  if (!body.shared && body.host === undefined)
    throw new DialtoneError('invalid-input', 'a local storage needs its host')
  const host = body.host === undefined ? undefined : findHost(context, body.host)
  const storage: StorageSpec = {
    id: makeId('st', storageIdSchema, leader.randomBytes(8)),
    name: body.name,
    kind: body.kind,
    path: body.path,
    shared: body.shared,
    hostId: host?.spec.id ?? null,
    createdAt: leader.clock.wallTime().toISOString(),
  }
  // A local storage has the same name on every host, so the claim is the host's.
  const claim = keys.nameClaim('storage', host === undefined ? body.name : `${host.spec.name}/${body.name}`)
  const message = `${body.path}${body.shared ? ', shared' : ''}`
  const event = leader.events.write({ kind: 'storage.created', subject: body.name, message, user: caller.name })
  const result = await commitAndSee(leader, {
    conditions: [{ key: claim, modRevision: 0 }],
    writes: [put(claim, storage.id), put(keys.storage(storage.id), storage), event],
  })
  if (result.kind === 'conflict') throw new DialtoneError('name-taken', `a storage named ${body.name} exists`)
  return storageView(leader.index.state(), storage)
}
