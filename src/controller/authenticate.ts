/** Who calls the public API: a bearer token, of which the store has only the hash. */
import { timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { keys } from '../engine/state/keys.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { Store } from '../store/store.ts'
import type { Identify } from '../transport/caller.ts'
import { hashToken } from './first-start.ts'

const userSchema = z.object({
  name: z.string(),
  role: z.enum(['viewer', 'operator', 'administrator']),
  tokenHash: z.string(),
})

export function identifyByToken(store: Store): Identify {
  return async (request) => {
    const token = /^Bearer ([A-Za-z0-9_-]{20,200})$/.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined)
      throw new DialtoneError('unauthenticated', 'This needs an access token: Authorization: Bearer TOKEN.')
    const hash = Buffer.from(hashToken(token))
    const { entries } = await store.range(keys.user(''))
    for (const entry of entries) {
      const user = userSchema.parse(JSON.parse(entry.value))
      if (timingSafeEqual(Buffer.from(user.tokenHash), hash)) return { name: user.name, role: user.role }
    }
    throw new DialtoneError('unauthenticated', 'This access token is not known.')
  }
}
