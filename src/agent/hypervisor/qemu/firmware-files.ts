/** Where Debian keeps UEFI firmware (ovmf) and the software TPM (swtpm), and what of them is on this host. */
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { Guest, GuestSupport } from '../../../model/guest.ts'

const folder = '/usr/share/OVMF'

export type FirmwareFiles = {
  /** The firmware itself, which all machines share. */
  readonly code: string
  /** What a new machine's variables are a copy of; with secure boot, Microsoft's keys are among them. */
  readonly variables: string
}

export function firmwareFiles({ secureBoot }: Pick<Guest, 'secureBoot'>): FirmwareFiles {
  const flavour = secureBoot ? '.ms' : ''
  return { code: join(folder, `OVMF_CODE_4M${flavour}.fd`), variables: join(folder, `OVMF_VARS_4M${flavour}.fd`) }
}

export async function readGuestSupport(): Promise<readonly GuestSupport[]> {
  const hasFirmware = async (secureBoot: boolean) => {
    const { code, variables } = firmwareFiles({ secureBoot })
    return (await isReadable(code)) && (await isReadable(variables))
  }
  const support: GuestSupport[] = []
  if (await hasFirmware(false)) support.push('uefi')
  if (await hasFirmware(true)) support.push('secure-boot')
  const paths = (process.env['PATH'] ?? '').split(delimiter)
  for (const path of paths) {
    if (!(await isReadable(join(path, 'swtpm')))) continue
    support.push('tpm')
    break
  }
  return support
}

function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  )
}
