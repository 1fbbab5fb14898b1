/**
 * Who calls the public API: a program by its token, or a browser by the cookie of its session. A cookie is sent by the browser whoever
 * made it call, so with a cookie the call must also show that the console itself made it.
 */
import type { FastifyRequest } from 'fastify'
import { keys } from '../../engine/state/keys.ts'
import { consoleHeader } from '../../model/access.ts'
import type { Clock } from '../../model/clock.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Store } from '../../store/store.ts'
import type { Caller, Identify } from '../../transport/caller.ts'
import { hashSecret, readSession, readToken, readUser } from './access-store.ts'
import { readSessionCookie } from './session-cookie.ts'

export type Entrance = {
  readonly store: Store
  readonly clock: Clock
  /** Names the cookie: several clusters may be served from one host name. */
  readonly clusterId: string
}

const readMethods: ReadonlySet<string> = new Set(['GET', 'HEAD'])

export function identifyCaller({ store, clock, clusterId }: Entrance): Identify {
  return async (request) => {
    const { authorization, cookie } = request.headers
    if (authorization !== undefined) return byToken(authorization)
    const secret = readSessionCookie(cookie, clusterId)
    if (secret === undefined)
      throw new DialtoneError('unauthenticated', 'This needs somebody who has signed in, or an access token.')
    requireConsole(request)
    return bySession(keys.userSession(hashSecret(secret)))
  }

  async function byToken(authorization: string): Promise<Caller> {
    const secret = /^Bearer ([A-Za-z0-9_-]{20,200})$/.exec(authorization)?.[1]
    if (secret === undefined)
      throw new DialtoneError('unauthenticated', 'An access token is sent like this: Authorization: Bearer TOKEN.')
    const token = await readToken(store, hashSecret(secret))
    if (token === undefined) throw new DialtoneError('unauthenticated', 'This access token is not known.')
    if (isOver(token.expiresAt)) throw new DialtoneError('unauthenticated', 'This access token has expired.')
    return { name: token.name, role: token.role }
  }

  async function bySession(sessionKey: string): Promise<Caller> {
    const session = await readSession(store, sessionKey)
    if (session === undefined || isOver(session.expiresAt))
      throw new DialtoneError('unauthenticated', 'The session is over: sign in again.')
    const found = await readUser(store, session.userName)
    if (found === undefined)
      throw new DialtoneError('unauthenticated', `There is no user ${session.userName} any more.`)
    return { name: found.user.name, role: found.user.role, sessionKey }
  }

  function isOver(expiresAt: string | null): boolean {
    return expiresAt !== null && Date.parse(expiresAt) <= clock.wallTime().getTime()
  }
}

/** Throws `forbidden` for what another site may have had the browser send: a change without the console's header, or another origin. */
function requireConsole(request: FastifyRequest): void {
  const { headers, method } = request
  const isUpgrade = headers.upgrade !== undefined
  if (readMethods.has(method) && !isUpgrade) return
  // A web socket cannot have a header of ours, and always says where it comes from.
  const isMarked = isUpgrade ? headers.origin !== undefined : headers[consoleHeader] !== undefined
  if (isMarked && isOwnOrigin(headers.origin, headers.host)) return
  throw new DialtoneError(
    'forbidden',
    'With a session only the console of this controller may call; programs use an access token.',
  )
}

function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true
  return URL.canParse(origin) && new URL(origin).host === host
}
