/** Whether this machine can carry a laboratory. */
import { access, constants } from 'node:fs/promises'
import { resolve } from 'node:path'
import { DialtoneError } from '../model/dialtone-error.ts'

/** Where OpenSSH has it; it is in no PATH. */
export const sftpServer = '/usr/lib/openssh/sftp-server'

const neededPrograms = {
  ip: 'iproute2',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  mount: 'mount',
  umount: 'mount',
  mountpoint: 'util-linux',
  chrt: 'util-linux',
  nice: 'coreutils',
} as const

const storageServerPrograms = {
  sshfs: 'sshfs',
  busybox: 'busybox-static',
  [sftpServer]: 'openssh-sftp-server',
}

/** Throws `machine-setup` with what is missing. */
export async function checkMachine({ storageServer }: { readonly storageServer: boolean }): Promise<void> {
  checkPrivileges()
  const missing: string[] = []
  const needed = { ...neededPrograms, ...(storageServer ? storageServerPrograms : {}) }
  for (const [program, debianPackage] of Object.entries(needed)) {
    if (!(await isInPath(program))) missing.push(`${program} (package ${debianPackage})`)
  }
  if (missing.length > 0) throw new DialtoneError('machine-setup', `a laboratory needs ${missing.join(', ')}`)
}

/** Namespaces, bridges and cgroups are root's to make. */
export function checkPrivileges(): void {
  if (process.platform !== 'linux') throw new DialtoneError('machine-setup', 'a laboratory runs on Linux only')
  if (process.getuid?.() === 0) return
  throw new DialtoneError('machine-setup', 'a laboratory makes namespaces and bridges: run this as root')
}

async function isInPath(program: string): Promise<boolean> {
  const folders = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(':').filter((folder) => folder !== '')
  for (const folder of folders) {
    const isThere = await access(resolve(folder, program), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return true
  }
  return false
}
