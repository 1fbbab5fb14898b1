/** Signing in and out, and one's own password, over the API. */
import { randomBytes } from 'node:crypto'
import { commitAndSee, put } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { accessRoutes, SignedIn } from '../../model/api/access-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { CallerLine, Handlers, RequestScope } from '../../transport/mount-contract.ts'
import type { AccessContext } from './access-context.ts'
import { endSessions, hashSecret, readSession, readUser, remove, writesOfSession } from './access-store.ts'
import { hashPassword, isPassword } from './password.ts'
import { writeSessionCookie } from './session-cookie.ts'

const sessionLifeMs = 12 * 3_600_000

type SessionRoutes = Pick<Handlers<typeof accessRoutes>, 'signIn' | 'signOut' | 'getSession' | 'changeOwnPassword'>

export function sessionHandlers(context: AccessContext): SessionRoutes {
  const { brake } = context
  const leader = () => context.engine.leader
  const clusterName = () => leader().index.state().cluster.name

  return {
    async signIn({ body: { userName, password } }, _caller, scope) {
      const { remoteAddress } = lineOf(scope)
      brake.admit(remoteAddress, userName)
      const found = await readUser(leader().store, userName)
      if (!(await isPassword(found?.user.password ?? null, password)) || found === undefined) {
        brake.failed(remoteAddress, userName)
        throw new DialtoneError('unauthenticated', 'There is no user with this name and password.')
      }
      brake.succeeded(remoteAddress, userName)
      const expiresAt = await openSession(context, userName, lineOf(scope))
      return { userName, role: found.user.role, clusterName: clusterName(), expiresAt }
    },
    async signOut(_input, caller, scope) {
      const { store, index } = leader()
      if (caller.sessionKey !== undefined) await store.commit({ conditions: [], writes: [remove(caller.sessionKey)] })
      const { isSecure, setCookie } = lineOf(scope)
      const clusterId = index.state().cluster.id
      setCookie(writeSessionCookie({ clusterId, secret: '', maximumAgeSeconds: 0, isSecure }))
      return {}
    },
    async getSession(_input, { name, role, sessionKey }): Promise<SignedIn> {
      if (role === 'none' || role === 'host') throw new DialtoneError('forbidden', `${name} is no user.`)
      const session = sessionKey === undefined ? undefined : await readSession(leader().store, sessionKey)
      return { userName: name, role, clusterName: clusterName(), expiresAt: session?.expiresAt ?? null }
    },
    async changeOwnPassword({ body }, caller, scope) {
      const { store } = leader()
      const { remoteAddress } = lineOf(scope)
      const found = caller.sessionKey === undefined ? undefined : await readUser(store, caller.name)
      if (found === undefined)
        throw new DialtoneError(
          'wrong-state',
          `${caller.name} is a token: only a user who has signed in has a password.`,
        )
      brake.admit(remoteAddress, caller.name)
      if (!(await isPassword(found.user.password, body.present))) {
        brake.failed(remoteAddress, caller.name)
        throw new DialtoneError('forbidden', 'The present password is another one.')
      }
      const user = { ...found.user, password: await hashPassword(body.next) }
      const key = keys.user(user.name)
      const event = leader().events.write({
        kind: 'user.password-changed',
        subject: user.name,
        message: 'by the user',
        user: user.name,
      })
      const result = await commitAndSee(leader(), {
        conditions: [{ key, modRevision: found.modRevision }],
        writes: [put(key, user), ...(await endSessions(store, user.name, caller.sessionKey)), event],
      })
      if (result.kind === 'conflict') throw new DialtoneError('conflict', `${user.name} was changed at the same time.`)
      return {}
    },
  }
}

/** Enters a session and has the browser keep its secret. Answers when it ends. */
async function openSession(
  { engine: { leader } }: AccessContext,
  userName: string,
  { isSecure, setCookie }: CallerLine,
): Promise<string> {
  const secret = randomBytes(32).toString('base64url')
  const now = leader.clock.wallTime()
  const expiresAt = new Date(now.getTime() + sessionLifeMs).toISOString()
  const session = { userName, createdAt: now.toISOString(), expiresAt }
  const key = keys.userSession(hashSecret(secret))
  const event = leader.events.write({ kind: 'user.signed-in', subject: userName, message: '', user: userName })
  const writes = [...(await writesOfSession(leader.store, { key, session })), event]
  await commitAndSee(leader, { conditions: [], writes })
  const clusterId = leader.index.state().cluster.id
  setCookie(writeSessionCookie({ clusterId, secret, maximumAgeSeconds: sessionLifeMs / 1000, isSecure }))
  return expiresAt
}

function lineOf({ line }: RequestScope): CallerLine {
  if (line === undefined) throw new DialtoneError('invalid-input', 'Only a browser can sign in or out.')
  return line
}
