/** Users and access tokens over the API. Every change of them is an event with the name of who made it. */
import { randomBytes } from 'node:crypto'
import { commitAndSee, put } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import { type AccessToken, firstUser, type User } from '../../model/access.ts'
import type { AccessTokenView, accessRoutes, UserView } from '../../model/api/access-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { accessTokenIdSchema, makeId } from '../../model/ids.ts'
import type { Condition, Write } from '../../store/store.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import type { AccessContext } from './access-context.ts'
import { endSessions, hashSecret, readTokens, readUser, readUsers, remove, type StoredUser } from './access-store.ts'
import { hashPassword } from './password.ts'
import { sessionHandlers } from './session-handlers.ts'

export function accessHandlers(context: AccessContext): Handlers<typeof accessRoutes> {
  return { ...sessionHandlers(context), ...userHandlers(context), ...tokenHandlers(context) }
}

type UserRoutes = Pick<
  Handlers<typeof accessRoutes>,
  'listUsers' | 'createUser' | 'setUserPassword' | 'setUserRole' | 'deleteUser'
>

function userHandlers({ engine: { leader } }: AccessContext): UserRoutes {
  const { store } = leader
  const now = () => leader.clock.wallTime().toISOString()
  const told = (kind: string, user: User, caller: Caller) =>
    leader.events.write({ kind, subject: user.name, message: `role ${user.role}`, user: caller.name })
  const change = async ({ user, modRevision }: StoredUser, writes: readonly Write[]): Promise<UserView> => {
    const key = keys.user(user.name)
    const result = await commitAndSee(leader, {
      conditions: [{ key, modRevision }],
      writes: [put(key, user), ...writes],
    })
    if (result.kind === 'conflict') throw new DialtoneError('conflict', `${user.name} was changed at the same time.`)
    return userView(user)
  }
  const find = async (name: string): Promise<StoredUser> => {
    const found = await readUser(store, name)
    if (found === undefined) throw new DialtoneError('not-found', `There is no user ${name}.`)
    return found
  }

  return {
    listUsers: async () => ({ users: (await readUsers(store)).map(userView) }),
    async createUser({ body: { name, role, password } }, caller) {
      if ((await readUser(store, name)) !== undefined) throw new DialtoneError('name-taken', `There is a user ${name}.`)
      const user: User = { name, role, password: await hashPassword(password), createdAt: now() }
      return change({ user, modRevision: 0 }, [told('user.created', user, caller)])
    },
    async setUserPassword({ params, body }, caller) {
      const { user, modRevision } = await find(params.user)
      const changed = { ...user, password: await hashPassword(body.password) }
      const ended = await endSessions(store, user.name)
      return change({ user: changed, modRevision }, [...ended, told('user.password-set', user, caller)])
    },
    async setUserRole({ params, body: { role } }, caller) {
      const { user, modRevision } = await find(params.user)
      if (user.name === firstUser && role !== 'administrator')
        throw new DialtoneError('wrong-state', `${firstUser} stays an administrator, so that there always is one.`)
      const changed = { ...user, role }
      return change({ user: changed, modRevision }, [told('user.role-set', changed, caller)])
    },
    async deleteUser({ params }, caller) {
      const { user, modRevision } = await find(params.user)
      if (user.name === firstUser)
        throw new DialtoneError('wrong-state', `${firstUser} stays, so that there always is an administrator.`)
      const key = keys.user(user.name)
      const tokens = (await readTokens(store)).filter(({ token }) => token.createdBy === user.name)
      const gone = [remove(key), ...tokens.map((one) => remove(one.key)), ...(await endSessions(store, user.name))]
      const writes = [...gone, told('user.deleted', user, caller)]
      const result = await commitAndSee(leader, { conditions: [{ key, modRevision }], writes })
      if (result.kind === 'conflict') throw new DialtoneError('conflict', `${user.name} was changed at the same time.`)
      return {}
    },
  }
}

type TokenRoutes = Pick<Handlers<typeof accessRoutes>, 'listAccessTokens' | 'createAccessToken' | 'revokeAccessToken'>

function tokenHandlers({ engine: { leader } }: AccessContext): TokenRoutes {
  const { store, clock, events } = leader
  const commit = (conditions: readonly Condition[], writes: readonly Write[]) =>
    commitAndSee(leader, { conditions, writes })
  const view = (token: AccessToken): AccessTokenView => ({
    ...token,
    isExpired: token.expiresAt !== null && Date.parse(token.expiresAt) <= clock.wallTime().getTime(),
  })
  const told = (kind: string, token: AccessToken, caller: Caller) =>
    events.write({ kind, subject: token.name, message: `role ${token.role}`, user: caller.name })

  return {
    listAccessTokens: async () => ({ tokens: (await readTokens(store)).map(({ token }) => view(token)) }),
    async createAccessToken({ body: { name, role, validForSeconds } }, caller) {
      if ((await readTokens(store)).some(({ token }) => token.name === name))
        throw new DialtoneError('name-taken', `There is a token ${name}.`)
      const secret = randomBytes(32).toString('base64url')
      const nowMs = clock.wallTime().getTime()
      const token: AccessToken = {
        id: makeId('tok', accessTokenIdSchema, randomBytes(8)),
        name,
        role,
        createdBy: caller.name,
        createdAt: new Date(nowMs).toISOString(),
        expiresAt: validForSeconds === undefined ? null : new Date(nowMs + validForSeconds * 1000).toISOString(),
      }
      await commit([], [put(keys.accessToken(hashSecret(secret)), token), told('token.created', token, caller)])
      return { ...view(token), token: secret }
    },
    async revokeAccessToken({ params }, caller) {
      const found = (await readTokens(store)).find(({ token }) => [token.name, token.id].includes(params.token))
      if (found === undefined) throw new DialtoneError('not-found', `There is no token ${params.token}.`)
      await commit([], [remove(found.key), told('token.revoked', found.token, caller)])
      return {}
    },
  }
}

function userView({ password, ...user }: User): UserView {
  return { ...user, canSignIn: password !== null }
}
