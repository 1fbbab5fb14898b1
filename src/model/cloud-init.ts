/** What a machine is told about itself at its first boot, by cloud-init or what does the same: keys, user-data, network. Not for everybody's eyes. */
import { z } from 'zod'

/** As EC2 has it. */
export const maximumUserDataBytes = 16 * 1024
/** Where machines ask who they are. */
export const metadataAddress = '169.254.169.254'

const maximumKeys = 16

/** Text that an editor would show: no control characters but tab and line ends, no halves of characters. */
const plainTextSchema = z
  .string()
  .refine((text) => utf8Bytes(text) <= maximumUserDataBytes, {
    error: `must have at most ${maximumUserDataBytes / 1024} KiB: let it fetch the rest, with #include or a script`,
  })
  .refine((text) => !controlCharacters.test(text) && text.isWellFormed(), {
    error: 'must be text without control characters: pack binary data into base64, as cloud-config has it',
  })

const controlCharacters = /[^\P{Cc}\t\n\r]|\ufeff|\ufffe|\uffff/u

/** One line of an authorized_keys file, without options. */
export const sshKeySchema = z
  .string()
  .max(4_000)
  .regex(
    /^(?:ssh-(?:rsa|ed25519)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]{32,}={0,2}(?: [\x21-\x7e]+(?: [\x21-\x7e]+)*)?$/,
    'must be one public key as in a .pub file, such as ssh-ed25519 AAAA… name',
  )

export const cloudInitSchema = z.object({
  userData: plainTextSchema.nullable(),
  sshKeys: z.array(sshKeySchema).max(maximumKeys),
  /** In the format of its guest's cloud-init; null: DHCP on each of its cards. */
  networkConfig: plainTextSchema.nullable(),
})
export type CloudInit = z.infer<typeof cloudInitSchema>

/** What may be shown of it. */
export const cloudInitSummarySchema = z.object({
  hasUserData: z.boolean(),
  sshKeys: z.number().int(),
  hasNetworkConfig: z.boolean(),
})

export function summarizeCloudInit(cloudInit: CloudInit | null): z.infer<typeof cloudInitSummarySchema> | null {
  if (cloudInit === null) return null
  const { userData, sshKeys, networkConfig } = cloudInit
  return { hasUserData: userData !== null, sshKeys: sshKeys.length, hasNetworkConfig: networkConfig !== null }
}

/** Without a platform there is nothing that encodes. */
function utf8Bytes(text: string): number {
  let bytes = 0
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return bytes
}
