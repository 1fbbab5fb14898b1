/** Branded identifiers: a host's id cannot be passed where a VM's is wanted. Made at the edges, by `makeId` with chance as an argument. */
import { z } from 'zod'

const idOf = <Prefix extends string>(prefix: Prefix) =>
  z.string().regex(new RegExp(`^${prefix}-[a-z0-9]{8}$`), `must be an id like ${prefix}-1a2b3c4d`)

export const vmIdSchema = idOf('vm').brand<'VmId'>()
export const hostIdSchema = idOf('host').brand<'HostId'>()
export const volumeIdSchema = idOf('vol').brand<'VolumeId'>()
export const storageIdSchema = idOf('st').brand<'StorageId'>()
export const templateIdSchema = idOf('tpl').brand<'TemplateId'>()
export const networkIdSchema = idOf('net').brand<'NetworkId'>()
export const taskIdSchema = idOf('task').brand<'TaskId'>()
export const userIdSchema = idOf('user').brand<'UserId'>()
export const sessionIdSchema = idOf('ses').brand<'SessionId'>()
export const imageIdSchema = idOf('img').brand<'ImageId'>()
export const layerIdSchema = idOf('layer').brand<'LayerId'>()
export const snapshotIdSchema = idOf('snap').brand<'SnapshotId'>()
export const securityGroupIdSchema = idOf('sg').brand<'SecurityGroupId'>()
export const serviceIdSchema = idOf('svc').brand<'ServiceId'>()
export const isoIdSchema = idOf('iso').brand<'IsoId'>()
export const accessTokenIdSchema = idOf('tok').brand<'AccessTokenId'>()

export type VmId = z.infer<typeof vmIdSchema>
export type HostId = z.infer<typeof hostIdSchema>
export type VolumeId = z.infer<typeof volumeIdSchema>
export type StorageId = z.infer<typeof storageIdSchema>
export type TemplateId = z.infer<typeof templateIdSchema>
export type NetworkId = z.infer<typeof networkIdSchema>
export type TaskId = z.infer<typeof taskIdSchema>
/** A memory image: memory, devices and root disk of one instant. */
export type ImageId = z.infer<typeof imageIdSchema>
/** One file of a volume's chain of overlays. */
export type LayerId = z.infer<typeof layerIdSchema>
/** A point of one VM that its owner can return to. */
export type SnapshotId = z.infer<typeof snapshotIdSchema>
export type SecurityGroupId = z.infer<typeof securityGroupIdSchema>
/** A set of VMs with a restart tree. */
export type ServiceId = z.infer<typeof serviceIdSchema>
export type IsoId = z.infer<typeof isoIdSchema>
export type AccessTokenId = z.infer<typeof accessTokenIdSchema>
export type UserId = z.infer<typeof userIdSchema>
/** One life of one agent process on one boot of one host. A new session voids every order given to the old one. */
export type SessionId = z.infer<typeof sessionIdSchema>

/** The network on the hosts' own segment: there once its addresses are set, without a record of its own. */
export const flatNetworkId = networkIdSchema.parse('net-flat0000')

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** Makes an id for `schema`'s kind from at least 8 random bytes. */
export function makeId<T extends z.ZodType>(prefix: string, schema: T, randomBytes: Uint8Array): z.infer<T> {
  const characters = Array.from(randomBytes.subarray(0, 8), (byte) => alphabet[byte % alphabet.length])
  return schema.parse(`${prefix}-${characters.join('')}`)
}

/** Names of objects: usable as a DNS label, in a file name and on a command line without quotes. */
export const nameSchema = z
  .string()
  .regex(
    /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/,
    'must be 1 to 40 small letters, digits and hyphens, beginning with a letter',
  )
