/** What a machine has that boots by its firmware, with paths on this host. One without it is started with its template's kernel. */
import type { Guest } from '../../model/guest.ts'

export type MachinePlatform = {
  readonly guest: Guest
  /** Variables of the UEFI firmware: a file beside the root disk, which one process at a time may have. */
  readonly variablesPath?: string | undefined
  /** State of its TPM: a folder beside the root disk. */
  readonly tpmDirectory?: string | undefined
  /** The disc in each of its drives; null for an empty one. */
  readonly discs: readonly (string | null)[]
  /** A disc in a drive of its own that tells cloud-init what the machine is. */
  readonly seedPath?: string | undefined
}
