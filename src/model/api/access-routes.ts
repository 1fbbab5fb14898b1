/** Who is signed in, who may sign in, and tokens for programs. */
import { z } from 'zod'
import { accessTokenSchema, passwordSchema, userRoleSchema, userSchema } from '../access.ts'
import { nameSchema } from '../ids.ts'
import type { Contract } from './route.ts'
import { referenceSchema } from './vm-routes.ts'

const userParams = z.object({ user: nameSchema })

export const userViewSchema = userSchema.omit({ password: true }).extend({ canSignIn: z.boolean() })
export type UserView = z.infer<typeof userViewSchema>

export const signedInSchema = z.object({
  userName: z.string(),
  role: userRoleSchema,
  clusterName: z.string(),
  /** Null for a token. */
  expiresAt: z.iso.datetime().nullable(),
})
export type SignedIn = z.infer<typeof signedInSchema>

export const accessTokenViewSchema = accessTokenSchema.extend({ isExpired: z.boolean() })
export type AccessTokenView = z.infer<typeof accessTokenViewSchema>

export const accessRoutes = {
  signIn: {
    method: 'POST',
    path: '/v1/session',
    role: 'none',
    summary: 'Signs a browser in with a name and a password: the answer sets its session cookie.',
    body: z.strictObject({ userName: z.string().min(1).max(64), password: z.string().min(1).max(256) }),
    response: signedInSchema,
    status: 201,
  },
  getSession: {
    method: 'GET',
    path: '/v1/session',
    role: 'viewer',
    summary: 'Who is calling, and with which role.',
    response: signedInSchema,
  },
  signOut: {
    method: 'DELETE',
    path: '/v1/session',
    role: 'none',
    summary: 'Ends the session of the browser that calls.',
    response: z.object({}),
  },
  changeOwnPassword: {
    method: 'PUT',
    path: '/v1/session/password',
    role: 'viewer',
    summary: 'Changes the password of the user who is signed in. All other sessions of that user end.',
    body: z.strictObject({ present: z.string().min(1).max(256), next: passwordSchema }),
    response: z.object({}),
  },
  listUsers: {
    method: 'GET',
    path: '/v1/users',
    role: 'administrator',
    summary: 'All users.',
    response: z.object({ users: z.array(userViewSchema) }),
  },
  createUser: {
    method: 'POST',
    path: '/v1/users',
    role: 'administrator',
    summary: 'Lets somebody sign in.',
    body: z.strictObject({ name: nameSchema, role: userRoleSchema, password: passwordSchema }),
    response: userViewSchema,
    status: 201,
  },
  setUserPassword: {
    method: 'PUT',
    path: '/v1/users/:user/password',
    role: 'administrator',
    summary: 'Gives a user another password. All sessions of that user end.',
    params: userParams,
    body: z.strictObject({ password: passwordSchema }),
    response: userViewSchema,
  },
  setUserRole: {
    method: 'PUT',
    path: '/v1/users/:user/role',
    role: 'administrator',
    summary: 'What a user may do, from the next call on.',
    params: userParams,
    body: z.strictObject({ role: userRoleSchema }),
    response: userViewSchema,
  },
  deleteUser: {
    method: 'DELETE',
    path: '/v1/users/:user',
    role: 'administrator',
    summary: 'Deletes a user with all sessions and tokens of that user.',
    params: userParams,
    response: z.object({}),
  },
  listAccessTokens: {
    method: 'GET',
    path: '/v1/access-tokens',
    role: 'administrator',
    summary: 'All tokens, without what makes them one.',
    response: z.object({ tokens: z.array(accessTokenViewSchema) }),
  },
  createAccessToken: {
    method: 'POST',
    path: '/v1/access-tokens',
    role: 'administrator',
    summary: 'Makes a token for a program. It is told here and never again.',
    body: z.strictObject({
      name: nameSchema,
      role: userRoleSchema,
      /** Left out: until it is revoked. */
      validForSeconds: z
        .number()
        .int()
        .min(60)
        .max(3660 * 86_400)
        .optional(),
    }),
    response: accessTokenViewSchema.extend({ token: z.string() }),
    status: 201,
  },
  revokeAccessToken: {
    method: 'DELETE',
    path: '/v1/access-tokens/:token',
    role: 'administrator',
    summary: 'Makes a token worthless at once.',
    params: z.object({ /** Name or id. */ token: referenceSchema }),
    response: z.object({}),
  },
} as const satisfies Contract
