/** What a cluster begins with: its identity in the store, its own authority, the administrator's token and password. Made once; later starts read it. */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { put } from '../engine/leader.ts'
import { keys } from '../engine/state/keys.ts'
import { type AccessToken, firstUser, type User } from '../model/access.ts'
import { type ClusterSpec, clusterSpecSchema } from '../model/cluster.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { accessTokenIdSchema, makeId, nameSchema } from '../model/ids.ts'
import { formerTimingsAfter } from '../model/protection/counted-timings.ts'
import { defaultTimings, timingsSchema } from '../model/timings.ts'
import type { Store } from '../store/store.ts'
import { makeHostKey } from '../transport/host-key.ts'
import { hashSecret, readToken, readTokens, readUser, remove } from './access/access-store.ts'
import { hashPassword, isPassword } from './access/password.ts'
import type { ControllerConfig } from './controller-config.ts'
import { type Authority, clusterIdOf, createAuthority, issueCertificate, loadAuthority } from './pki/authority.ts'

export type ControllerTls = { readonly ca: string; readonly cert: string; readonly key: string }

const certificateLifeMs = 5 * 365 * 86_400_000

/** The stored cluster, or a new one: of the id that its authority has, if there is one, so that hosts know it after its state was lost; times that the configuration names override the stored ones. */
export async function ensureCluster(store: Store, config: ControllerConfig): Promise<ClusterSpec> {
  const stored = await store.get(keys.cluster)
  const before = stored === undefined ? undefined : clusterSpecSchema.parse(JSON.parse(stored.value))
  const timings = timingsSchema.parse({ ...(before?.timings ?? defaultTimings), ...config.timings })
  const cluster: ClusterSpec = {
    id: before?.id ?? (await clusterIdOfAuthority(config)) ?? randomUUID(),
    name: before?.name ?? config.clusterName,
    createdAt: before?.createdAt ?? new Date().toISOString(),
    timings,
    formerTimings: before === undefined ? null : formerTimingsAfter(before, timings),
    hostFailuresToTolerate: before?.hostFailuresToTolerate ?? 0,
  }
  if (before !== undefined && JSON.stringify(before) === JSON.stringify(cluster)) return cluster
  const condition = { key: keys.cluster, modRevision: stored?.modRevision ?? 0 }
  await store.commit({
    conditions: [condition],
    writes: [{ kind: 'put', key: keys.cluster, value: JSON.stringify(cluster) }],
  })
  return cluster
}

/** The cluster's own authority, from the data directory. */
export async function ensureAuthority(config: ControllerConfig, clusterId: string): Promise<Authority> {
  const folder = pkiFolder(config)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const kept = await readAuthority(config)
  if (kept !== undefined) return kept
  const authority = await createAuthority({ clusterId, now: new Date() })
  await writePrivately(join(folder, 'authority.key'), authority.privateKeyPem)
  await writePrivately(join(folder, 'authority.pem'), authority.certificatePem)
  return authority
}

async function clusterIdOfAuthority(config: ControllerConfig): Promise<string | undefined> {
  const authority = await readAuthority(config)
  return authority === undefined ? undefined : clusterIdOf(authority)
}

async function readAuthority(config: ControllerConfig): Promise<Authority | undefined> {
  const certificatePem = await readIfThere(join(pkiFolder(config), 'authority.pem'))
  const privateKeyPem = await readIfThere(join(pkiFolder(config), 'authority.key'))
  if (certificatePem === undefined || privateKeyPem === undefined) return undefined
  return loadAuthority({ certificatePem, privateKeyPem })
}

function pkiFolder({ dataDirectory }: ControllerConfig): string {
  return join(dataDirectory, 'pki')
}

/** A certificate for this controller, made anew at each start. */
export async function issueControllerTls(
  authority: Authority,
  config: ControllerConfig,
  clusterId: string,
): Promise<ControllerTls> {
  const key = makeHostKey()
  const cert = await issueCertificate({
    authority,
    publicKeyPem: key.publicKeyPem,
    subject: { kind: 'controller', clusterId, name: 'main' },
    addresses: [...new Set([config.agentListen.host, config.apiListen.host])],
    now: new Date(),
    validForMs: certificateLifeMs,
  })
  return { ca: authority.certificatePem, cert, key: key.privateKeyPem }
}

/**
 * The administrator's access token and first password stand in files of mode 0600, `admin-token` and `admin-password`; only hashes are in
 * the store. The password's file is written once, and gone once that password is no longer the one that counts.
 */
export async function ensureAdministrator(store: Store, config: ControllerConfig): Promise<void> {
  await ensureFirstToken(store, join(config.dataDirectory, 'admin-token'))
  await ensureFirstPassword(store, join(config.dataDirectory, 'admin-password'))
}

async function ensureFirstToken(store: Store, path: string): Promise<void> {
  const existing = await readIfThere(path)
  const secret = existing?.trim() ?? randomBytes(32).toString('base64url')
  if (existing === undefined) await writePrivately(path, `${secret}\n`)
  if ((await readToken(store, hashSecret(secret))) !== undefined) return
  const token: AccessToken = {
    id: makeId('tok', accessTokenIdSchema, randomBytes(8)),
    name: nameSchema.parse(firstUser),
    role: 'administrator',
    createdBy: firstUser,
    createdAt: new Date().toISOString(),
    expiresAt: null,
  }
  // One that was there before belonged to a file that is gone.
  const older = (await readTokens(store)).filter((stored) => stored.token.name === firstUser)
  const writes = [...older.map(({ key }) => remove(key)), put(keys.accessToken(hashSecret(secret)), token)]
  await store.commit({ conditions: [], writes })
}

async function ensureFirstPassword(store: Store, path: string): Promise<void> {
  const stored = await readUser(store, firstUser)
  const written = (await readIfThere(path))?.trim()
  if (typeof stored?.user.password === 'string') {
    if (written !== undefined && !(await isPassword(stored.user.password, written))) await rm(path, { force: true })
    return
  }
  const password = written ?? randomBytes(15).toString('base64url')
  if (written === undefined) await writePrivately(path, `${password}\n`)
  const user: User = {
    name: nameSchema.parse(firstUser),
    role: 'administrator',
    password: await hashPassword(password),
    createdAt: stored?.user.createdAt ?? new Date().toISOString(),
  }
  const key = keys.user(firstUser)
  const conditions = [{ key, modRevision: stored?.modRevision ?? 0 }]
  const result = await store.commit({ conditions, writes: [put(key, user)] })
  if (result.kind !== 'committed') throw new DialtoneError('conflict', 'The administrator could not be stored.')
}

async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

async function writePrivately(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content, { mode: 0o600, flush: true })
  await rename(`${path}.new`, path)
}
