/** Hosts and join tokens over the API. */
import { createHash } from 'node:crypto'
import { commitAndSee, put, unchanged } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { hostRoutes } from '../../model/api/host-routes.ts'
import type { HostView } from '../../model/api/views.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { FenceConfiguration } from '../../model/host.ts'
import type { Caller } from '../../transport/caller.ts'
import { makeJoinToken, parseJoinToken } from '../../transport/join-token.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { hostView } from '../views/host-view.ts'
import { type ApiContext, findHost } from './api-context.ts'
import { storageHandlers } from './storage-handlers.ts'

const joinTokenLifeMs = 3_600_000

export type HostHandlersContext = ApiContext & { readonly authorityPem: string }

export function hostHandlers(context: HostHandlersContext): Handlers<typeof hostRoutes> {
  const hosts = () => [...context.engine.leader.index.state().hosts.values()]
  return {
    ...storageHandlers(context),
    listHosts: () => ({
      hosts: hosts()
        .map(({ spec }) => viewOfHost(context, spec.id))
        .sort((left, right) => left.number - right.number),
    }),
    getHost: ({ params }) => viewOfHost(context, params.host),
    createJoinToken: ({ body }, caller) => createJoinToken(context, body.hostName, caller),
    setHostFence: ({ params, body }, caller) =>
      setHostFence(context, { reference: params.host, fence: body.fence, caller }),
    async confirmHostDead({ params, body }, caller) {
      const { spec, status } = findHost(context, params.host)
      if (body.confirm !== spec.name)
        throw new DialtoneError('invalid-input', `to confirm that ${spec.name} is off, send its name as "confirm"`)
      if (status.state === 'online' || status.state === 'deaf' || status.state === 'maintenance')
        throw new DialtoneError('wrong-state', `${spec.name} reports: it is not dead`)
      return { proof: await context.engine.confirmHostDead(spec.id, caller.name) }
    },
    deleteHost: ({ params }, caller) => deleteHost(context, params.host, caller),
  }
}

/** Of a join token only this is stored. */
export function hashJoinToken(token: string): string {
  return createHash('sha256').update(parseJoinToken(token).secret).digest('hex')
}

export function viewOfHost(context: ApiContext, reference: string): HostView {
  const { engine } = context
  const host = findHost(context, reference)
  const silentMs = engine.hasReported(host.spec.id) ? Math.round(engine.observation(host.spec.id).silentMs) : null
  return hostView(engine.leader.index.state(), host, silentMs)
}

async function createJoinToken(context: HostHandlersContext, hostName: string, caller: Caller) {
  const { leader } = context.engine
  const hasJoined = [...leader.index.state().hosts.values()].some(({ spec }) => spec.name === hostName)
  if (hasJoined) throw new DialtoneError('name-taken', `a host named ${hostName} has joined already`)
  const token = makeJoinToken(leader.randomBytes(24), context.authorityPem)
  const expiresAt = new Date(leader.clock.wallTime().getTime() + joinTokenLifeMs).toISOString()
  const message = `a join token was made by ${caller.name}`
  const event = leader.events.write({ kind: 'host.join-token-made', subject: hostName, message, user: caller.name })
  const writes = [put(keys.joinToken(hashJoinToken(token)), { hostName, expiresAt }), event]
  await commitAndSee(leader, { conditions: [], writes })
  return { token, expiresAt }
}

type FenceChange = { readonly reference: string; readonly fence: FenceConfiguration | null; readonly caller: Caller }

async function setHostFence(context: ApiContext, { reference, fence, caller }: FenceChange): Promise<HostView> {
  const { leader } = context.engine
  const { spec } = findHost(context, reference)
  const key = keys.host(spec.id)
  const message = fence === null ? 'its power fence was taken away' : `its power fence is ${fence.agent}`
  const event = leader.events.write({
    kind: 'host.fence-set',
    subject: spec.name,
    message,
    hostId: spec.id,
    user: caller.name,
  })
  const result = await commitAndSee(leader, {
    conditions: [unchanged(leader, key)],
    writes: [put(key, { ...spec, fence }), event],
  })
  if (result.kind === 'conflict') throw new DialtoneError('conflict', `${spec.name} was changed at the same time`)
  return viewOfHost(context, spec.id)
}

async function deleteHost(context: ApiContext, reference: string, caller: Caller) {
  const { leader } = context.engine
  const state = leader.index.state()
  const { spec, status } = findHost(context, reference)
  const held = [...state.vms.values()].filter(
    (vm) => vm.placement?.hostId === spec.id || vm.spec.boundToHostId === spec.id,
  )
  if (held.length > 0)
    throw new DialtoneError('in-use', `${spec.name} holds ${held.map((vm) => vm.spec.name).join(', ')}`)
  if (status.state === 'online' || status.state === 'deaf')
    throw new DialtoneError('wrong-state', `${spec.name} is ${status.state}: stop its agent first`)
  const local = [...state.storages.values()].filter((storage) => storage.hostId === spec.id)
  const gone = [
    keys.hostStatus(spec.id),
    keys.nameClaim('host', spec.name),
    keys.numberClaim('host', spec.number),
    ...local.flatMap((storage) => [
      keys.storage(storage.id),
      keys.nameClaim('storage', `${spec.name}/${storage.name}`),
    ]),
    ...[...state.discards].flatMap(([key, { storageId }]) => (local.some(({ id }) => id === storageId) ? [key] : [])),
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
}
