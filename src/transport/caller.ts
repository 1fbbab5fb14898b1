/** Who calls a route, and whether that is enough for it. */
import type { FastifyRequest } from 'fastify'
import type { Role } from '../model/api/route.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { HostId } from '../model/ids.ts'

export type Caller = {
  /** For the audit log: the user's or token's name, `host/<id>` or `controller/<name>`. */
  readonly name: string
  readonly role: Role
  /** Set when the caller is an agent. Whether it may speak about this host is the handler's business. */
  readonly hostId?: HostId
  /** Set when the caller is a browser that has signed in: the key of its session. */
  readonly sessionKey?: string
}

/** Finds out who sends a request; throws `unauthenticated` when that cannot be told. */
export type Identify = (request: FastifyRequest) => Caller | Promise<Caller>

const anonymous: Caller = { name: 'anonymous', role: 'none' }
const rank = { none: 0, viewer: 1, operator: 2, administrator: 3 } as const

/**
 * Identifies the caller and admits it to a route that needs `role`. Throws `unauthenticated` (who are you) or `forbidden` (not you).
 * A route that needs no role is open also to a caller with bad credentials, who is then anonymous: it may be there to sign in.
 */
export async function admitCaller(request: FastifyRequest, role: Role, identify: Identify): Promise<Caller> {
  const caller = await identifyOr(request, identify, role === 'none' ? anonymous : undefined)
  if (mayCall(caller.role, role)) return caller
  if (caller.role === 'none') throw new DialtoneError('unauthenticated', 'This needs a caller who is signed in.')
  throw new DialtoneError('forbidden', forbiddenSentence(caller, role))
}

async function identifyOr(request: FastifyRequest, identify: Identify, fallback: Caller | undefined): Promise<Caller> {
  try {
    return await identify(request)
  } catch (error) {
    if (fallback && error instanceof DialtoneError && error.code === 'unauthenticated') return fallback
    throw error
  }
}

function mayCall(has: Role, needs: Role): boolean {
  if (needs === 'none') return true
  // Certificates and users are two worlds: an administrator may not give the orders of a controller, a host may not act for a user.
  if (has === 'host' || needs === 'host') return has === needs
  return rank[has] >= rank[needs]
}

function forbiddenSentence(caller: Caller, needs: Role): string {
  if (needs === 'host') return `This is for hosts and controllers with a certificate; ${caller.name} has none.`
  return `This needs the role ${needs}; ${caller.name} has the role ${caller.role}.`
}
