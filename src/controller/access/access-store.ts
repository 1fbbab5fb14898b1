/** Users, their sessions and access tokens in the store. Tokens and sessions are found by the hash of what is presented. */
import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { put } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import {
  type AccessToken,
  accessTokenSchema,
  type User,
  type UserSession,
  userSchema,
  userSessionSchema,
} from '../../model/access.ts'
import type { KeyValue, Store, Write } from '../../store/store.ts'

export type StoredUser = { readonly user: User; readonly modRevision: number }
export type StoredToken = { readonly token: AccessToken; readonly key: string }

/** What a secret is found by. Secrets are long and random, so a plain hash is enough; passwords are another matter. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

export async function readUser(store: Store, name: string): Promise<StoredUser | undefined> {
  const entry = await store.get(keys.user(name))
  return entry === undefined ? undefined : { user: read(userSchema, entry), modRevision: entry.modRevision }
}

export async function readUsers(store: Store): Promise<readonly User[]> {
  const { entries } = await store.range(keys.user(''))
  return entries.map((entry) => read(userSchema, entry))
}

export async function readToken(store: Store, hash: string): Promise<AccessToken | undefined> {
  const entry = await store.get(keys.accessToken(hash))
  return entry === undefined ? undefined : read(accessTokenSchema, entry)
}

export async function readTokens(store: Store): Promise<readonly StoredToken[]> {
  const { entries } = await store.range(keys.accessToken(''))
  return entries.map((entry) => ({ token: read(accessTokenSchema, entry), key: entry.key }))
}

export async function readSession(store: Store, key: string): Promise<UserSession | undefined> {
  const entry = await store.get(key)
  return entry === undefined ? undefined : read(userSessionSchema, entry)
}

/** The session's entry, and the end of those whose time is over. */
export async function writesOfSession(
  store: Store,
  { key, session }: { readonly key: string; readonly session: UserSession },
): Promise<readonly Write[]> {
  const { entries } = await store.range(keys.userSession(''))
  const isOver = (entry: KeyValue) => read(userSessionSchema, entry).expiresAt <= session.createdAt
  return [put(key, session), ...entries.filter(isOver).map((entry) => remove(entry.key))]
}

/** The end of all sessions of a user, but for one. */
export async function endSessions(store: Store, userName: string, except?: string): Promise<readonly Write[]> {
  const { entries } = await store.range(keys.userSession(''))
  return entries
    .filter((entry) => entry.key !== except && read(userSessionSchema, entry).userName === userName)
    .map((entry) => remove(entry.key))
}

export function remove(key: string): Write {
  return { kind: 'delete', key }
}

function read<Schema extends z.ZodType>(schema: Schema, entry: KeyValue): z.output<Schema> {
  return schema.parse(JSON.parse(entry.value))
}
