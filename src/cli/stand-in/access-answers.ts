/** Users and tokens, as the API answers them, for tests. */
import type { AccessTokenView, accessRoutes, UserView } from '../../model/api/access-routes.ts'
import { accessTokenIdSchema, nameSchema } from '../../model/ids.ts'
import type { Handlers } from '../../transport/mount-contract.ts'

const at = '2026-03-01T11:00:00.000Z'

export function makeAccessHandlers({ changes }: { readonly changes: string[] }): Handlers<typeof accessRoutes> {
  const changed = (what: string, user: UserView): UserView => {
    changes.push(`user ${what}`)
    return user
  }
  const signedIn = { userName: 'admin', role: 'administrator', clusterName: 'lab', expiresAt: null } as const
  return {
    signIn: () => signedIn,
    getSession: () => signedIn,
    signOut: () => ({}),
    changeOwnPassword: () => ({}),
    listUsers: () => ({ users: [makeUser({ name: 'ann', role: 'operator' })] }),
    createUser: ({ body: { name, role, password } }) =>
      changed(`create ${name} ${role} ${password}`, makeUser({ name, role })),
    setUserPassword: ({ params, body }) =>
      changed(`password ${params.user} ${body.password}`, makeUser({ name: params.user })),
    setUserRole: ({ params, body }) =>
      changed(`role ${params.user} ${body.role}`, makeUser({ name: params.user, role: body.role })),
    deleteUser: ({ params }) => {
      changes.push(`user delete ${params.user}`)
      return {}
    },
    listAccessTokens: () => ({ tokens: [makeToken({})] }),
    createAccessToken: ({ body: { name, role, validForSeconds } }) => {
      changes.push(`token create ${name} ${role} ${validForSeconds}`)
      return { ...makeToken({ name, role }), token: 'the-secret-of-the-token' }
    },
    revokeAccessToken: ({ params }) => {
      changes.push(`token revoke ${params.token}`)
      return {}
    },
  }
}

function makeUser(fields: Partial<UserView>): UserView {
  return { name: nameSchema.parse('ann'), role: 'viewer', createdAt: at, canSignIn: true, ...fields }
}

function makeToken(fields: Partial<AccessTokenView>): AccessTokenView {
  return {
    id: accessTokenIdSchema.parse('tok-aaaaaaaa'),
    name: nameSchema.parse('backup'),
    role: 'viewer',
    createdBy: 'admin',
    createdAt: at,
    expiresAt: '2026-03-02T11:00:00.000Z',
    isExpired: false,
    ...fields,
  }
}
