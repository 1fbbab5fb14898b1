/** What agents call: joining, heartbeats, the files of templates. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { commitAndSee, put } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { HostContract, joinRequestSchema } from '../../model/agent-protocol/host-contract.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostSpec } from '../../model/host.ts'
import { type HostId, hostIdSchema, makeId, nameSchema, storageIdSchema } from '../../model/ids.ts'
import type { StorageSpec } from '../../model/storage.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import type { FigureContext } from '../figures/figure-handlers.ts'
import { type Authority, issueCertificate, verifyPossession } from '../pki/authority.ts'
import type { Introductions } from '../rebuild/introductions.ts'
import type { ApiContext } from './api-context.ts'
import { hashJoinToken } from './host-handlers.ts'

const certificateLifeMs = 5 * 365 * 86_400_000
const joinTokenSchema = z.object({ hostName: nameSchema, expiresAt: z.iso.datetime() })

export type AgentHandlersContext = ApiContext &
  FigureContext & { readonly authority: Authority; readonly introductions: Introductions }

export function agentHandlers(context: AgentHandlersContext): Handlers<HostContract> {
  const { engine, figures } = context
  return {
    join: ({ body }) => joinHost(context, body),
    heartbeat({ body }, caller) {
      if (caller.hostId === undefined) throw new DialtoneError('forbidden', 'only a host sends heartbeats')
      return engine.receiveHeartbeat(caller.hostId, body)
    },
    introduce({ body }, caller) {
      if (caller.hostId === undefined) throw new DialtoneError('forbidden', 'only a host introduces itself')
      context.introductions.note(caller.hostId, body)
      return {}
    },
    figures({ body }, caller) {
      if (caller.hostId === undefined) throw new DialtoneError('forbidden', 'only a host sends its figures')
      // What nobody has made takes no room here, whatever a host says.
      const { vms } = engine.leader.index.state()
      figures.receive(caller.hostId, { ...body, machines: body.machines.filter(({ vmId }) => vms.has(vmId)) })
      return {}
    },
    async imageFile({ params }) {
      const { templates, isos } = engine.leader.index.state()
      const image =
        [...templates.values()].find(({ version }) => version === params.version) ??
        [...isos.values()].find(({ id }) => id === params.version)
      if (image === undefined)
        throw new DialtoneError('not-found', `there is no template or disc of version ${params.version}`)
      const path = join(image.directory, params.file)
      const { size } = await stat(path).catch((cause: unknown) => {
        throw new DialtoneError('not-found', `${params.file} is not part of ${params.version}`, { cause })
      })
      return { size, stream: createReadStream(path) }
    },
  }
}

async function joinHost(context: AgentHandlersContext, request: z.infer<typeof joinRequestSchema>) {
  const { leader } = context.engine
  if (!verifyPossession(request)) throw new DialtoneError('unauthenticated', 'the signature does not fit the key')
  const tokenKey = keys.joinToken(hashJoinToken(request.token))
  const entry = await leader.store.get(tokenKey)
  if (entry === undefined)
    throw new DialtoneError('unauthenticated', 'this join token is not known, or was used already: make a new one')
  const { hostName, expiresAt } = joinTokenSchema.parse(JSON.parse(entry.value))
  if (Date.parse(expiresAt) < leader.clock.wallTime().getTime())
    throw new DialtoneError('unauthenticated', 'this join token has expired: make a new one')
  if (hostName !== request.hostName)
    throw new DialtoneError('forbidden', `this join token is for ${hostName}, not for ${request.hostName}`)
  const host = newHost(context, request)
  const local = localStorage(context, { host, path: request.localStoragePath })
  const claims = [
    keys.nameClaim('host', host.name),
    keys.numberClaim('host', host.number),
    keys.nameClaim('storage', `${host.name}/${local.name}`),
  ]
  const result = await commitAndSee(leader, {
    conditions: [{ key: tokenKey, modRevision: entry.modRevision }, ...claims.map((key) => ({ key, modRevision: 0 }))],
    writes: [
      { kind: 'delete', key: tokenKey },
      ...claims.map((key) => put(key, host.id)),
      put(keys.host(host.id), host),
      put(keys.storage(local.id), local),
      leader.events.write({
        kind: 'host.joined',
        subject: host.name,
        message: `joined from ${host.address}`,
        hostId: host.id,
      }),
    ],
  })
  if (result.kind === 'conflict')
    throw new DialtoneError('conflict', `${host.name} could not be entered (${result.conflicts.join(', ')}): repeat`)
  return { ...(await credentials(context, host.id, request)), hostId: host.id }
}

function newHost({ engine }: ApiContext, request: z.infer<typeof joinRequestSchema>): HostSpec {
  const { leader } = engine
  const taken = new Set([...leader.index.state().hosts.values()].map(({ spec }) => spec.number))
  let number = 1
  while (taken.has(number)) number += 1
  return {
    id: makeId('host', hostIdSchema, leader.randomBytes(8)),
    name: nameSchema.parse(request.hostName),
    number,
    address: request.address,
    port: request.port,
    joinedAt: leader.clock.wallTime().toISOString(),
    fence: null,
    labels: {},
    maintenance: null,
  }
}

function localStorage(
  { engine }: ApiContext,
  { host, path }: { readonly host: HostSpec; readonly path: string },
): StorageSpec {
  const id = makeId('st', storageIdSchema, engine.leader.randomBytes(8))
  return { id, name: 'local', kind: 'directory', path, shared: false, hostId: host.id, createdAt: host.joinedAt }
}

async function credentials(
  { authority, engine }: AgentHandlersContext,
  hostId: HostId,
  request: z.infer<typeof joinRequestSchema>,
) {
  const clusterId = engine.leader.index.state().cluster.id
  const certificatePem = await issueCertificate({
    authority,
    publicKeyPem: request.publicKeyPem,
    subject: { kind: 'host', clusterId, hostId },
    addresses: [request.address],
    now: engine.leader.clock.wallTime(),
    validForMs: certificateLifeMs,
  })
  return { clusterId, certificatePem, authorityPem: authority.certificatePem }
}
