/** Who may use a cluster: users with passwords, their sessions, and tokens for programs. Of passwords and tokens only hashes are kept. */
import { z } from 'zod'
import { accessTokenIdSchema, nameSchema } from './ids.ts'

/** `viewer` sees everything but secrets, `operator` works with machines, `administrator` also with hosts, users and the cluster. */
export const userRoleSchema = z.enum(['viewer', 'operator', 'administrator'])
export type UserRole = z.infer<typeof userRoleSchema>

/** The user that a cluster begins with. It stays an administrator, so that nobody can lock everybody out. */
export const firstUser = 'admin'

/** Long enough to be a sentence, short enough to be hashed at once. */
export const passwordSchema = z.string().min(10, 'must have at least 10 characters').max(256)

export const userSchema = z.object({
  name: nameSchema,
  role: userRoleSchema,
  /** Salted hash in PHC form; null for one who cannot sign in. */
  password: z.string().nullable().default(null),
  /** Absent in records of before there were passwords. */
  createdAt: z.iso.datetime().nullable().default(null),
})
export type User = z.infer<typeof userSchema>

export const accessTokenSchema = z.object({
  id: accessTokenIdSchema,
  name: nameSchema,
  role: userRoleSchema,
  createdBy: z.string(),
  createdAt: z.iso.datetime(),
  /** Null: until it is revoked. */
  expiresAt: z.iso.datetime().nullable(),
})
export type AccessToken = z.infer<typeof accessTokenSchema>

/** One sign-in of one browser. What it may do is what its user may do at that moment. */
export const userSessionSchema = z.object({
  userName: nameSchema,
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
})
export type UserSession = z.infer<typeof userSessionSchema>

/** A browser sends this with every call: another site cannot, without being asked for leave first. */
export const consoleHeader = 'x-dialtone-console'
