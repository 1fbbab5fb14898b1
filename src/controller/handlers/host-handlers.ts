/** Hosts, storages, templates and join tokens over the API. */
import { createHash } from 'node:crypto'
import { commitAndSee, put, unchanged } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { hostRoutes } from '../../model/api/host-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { makeId, storageIdSchema } from '../../model/ids.ts'
import type { StorageSpec } from '../../model/storage.ts'
import { makeJoinToken, parseJoinToken } from '../../transport/join-token.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { hostView, storageView } from '../views/host-view.ts'
import { type ApiContext, findHost, viewOfTask } from './api-context.ts'

const joinTokenLifeMs = 3_600_000

export type HostHandlersContext = ApiContext & { readonly authorityPem: string }

export function hostHandlers(context: HostHandlersContext): Handlers<typeof hostRoutes> {
  const { engine } = context
  const { leader } = engine
  const state = () => leader.index.state()
  const viewOf = (reference: string) => {
    const host = findHost(context, reference)
    return hostView(
      state(),
      host,
      engine.hasReported(host.spec.id) ? Math.round(engine.observation(host.spec.id).silentMs) : null,
    )
  }

  return {
    listHosts: () => ({
      hosts: [...state().hosts.keys()].map(viewOf).sort((left, right) => left.number - right.number),
    }),
    getHost: ({ params }) => viewOf(params.host),
    async createJoinToken({ body }, caller) {
      if ([...state().hosts.values()].some(({ spec }) => spec.name === body.hostName))
        throw new DialtoneError('name-taken', `a host named ${body.hostName} has joined already`)
      const token = makeJoinToken(leader.randomBytes(24), context.authorityPem)
      const expiresAt = new Date(leader.clock.wallTime().getTime() + joinTokenLifeMs).toISOString()
      const event = leader.events.write({
        kind: 'host.join-token-made',
        subject: body.hostName,
        message: `a join token was made by ${caller.name}`,
        user: caller.name,
      })
      await commitAndSee(leader, {
        conditions: [],
        writes: [put(keys.joinToken(hashJoinToken(token)), { hostName: body.hostName, expiresAt }), event],
      })
      return { token, expiresAt }
    },
    async setHostFence({ params, body }, caller) {
      const { spec } = findHost(context, params.host)
      const message = body.fence === null ? 'its power fence was taken away' : `its power fence is ${body.fence.agent}`
      const event = leader.events.write({
        kind: 'host.fence-set',
        subject: spec.name,
        message,
        hostId: spec.id,
        user: caller.name,
      })
      await commitOrConflict(context, keys.host(spec.id), [
        put(keys.host(spec.id), { ...spec, fence: body.fence }),
        event,
      ])
      return viewOf(params.host)
    },
    async confirmHostDead({ params, body }, caller) {
      const host = findHost(context, params.host)
      if (body.confirm !== host.spec.name)
        throw new DialtoneError('invalid-input', `to confirm that ${host.spec.name} is off, send its name as "confirm"`)
      if (host.status.state === 'online' || host.status.state === 'maintenance') {
        throw new DialtoneError('wrong-state', `${host.spec.name} reports: it is not dead`)
      }
      return { proof: await engine.confirmHostDead(host.spec.id, caller.name) }
    },
    async deleteHost({ params }, caller) {
      const { spec, status } = findHost(context, params.host)
      const held = [...state().vms.values()].filter(
        ({ placement, spec: vm }) => placement?.hostId === spec.id || vm.boundToHostId === spec.id,
      )
      if (held.length > 0)
        throw new DialtoneError('in-use', `${spec.name} holds ${held.map((vm) => vm.spec.name).join(', ')}`)
      if (status.state === 'online')
        throw new DialtoneError('wrong-state', `${spec.name} is online: stop its agent first`)
      const local = [...state().storages.values()].filter((storage) => storage.hostId === spec.id)
      const gone = [
        keys.hostStatus(spec.id),
        keys.nameClaim('host', spec.name),
        keys.numberClaim('host', spec.number),
        ...local.map((storage) => keys.storage(storage.id)),
        keys.host(spec.id),
      ]
      const event = leader.events.write({
        kind: 'host.deleted',
        subject: spec.name,
        message: `forgotten by ${caller.name}`,
        user: caller.name,
      })
      await commitAndSee(leader, {
        conditions: [],
        writes: [...gone.map((key) => ({ kind: 'delete' as const, key })), event],
      })
      return {}
    },
    listStorages: () => ({ storages: [...state().storages.values()].map((storage) => storageView(state(), storage)) }),
    async createStorage({ body }, caller) {
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
      const event = leader.events.write({
        kind: 'storage.created',
        subject: body.name,
        message: `${body.path}${body.shared ? ', shared' : ''}`,
        user: caller.name,
      })
      const result = await commitAndSee(leader, {
        conditions: [{ key: claim, modRevision: 0 }],
        writes: [put(claim, storage.id), put(keys.storage(storage.id), storage), event],
      })
      if (result.kind === 'conflict') throw new DialtoneError('name-taken', `a storage named ${body.name} exists`)
      return storageView(state(), storage)
    },
    listTemplates: () => ({ templates: [...state().templates.values()] }),
    async buildTemplate({ body }, caller) {
      const { task, write } = engine.tasks.prepare({
        kind: 'template.build',
        subject: body.recipe,
        user: caller.name,
        journal: { recipe: body.recipe },
      })
      await commitAndSee(leader, { conditions: [], writes: [write] })
      engine.tasks.begin(task.id)
      return { task: viewOfTask(task) }
    },
  }
}

/** Of a join token only this is stored. */
export function hashJoinToken(token: string): string {
  return createHash('sha256').update(parseJoinToken(token).secret).digest('hex')
}

async function commitOrConflict(
  { engine }: ApiContext,
  key: string,
  writes: Parameters<typeof commitAndSee>[1]['writes'],
): Promise<void> {
  const result = await commitAndSee(engine.leader, { conditions: [unchanged(engine.leader, key)], writes })
  if (result.kind === 'conflict') throw new DialtoneError('conflict', 'it was changed at the same time')
}
