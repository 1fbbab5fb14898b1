/** Where a laboratory's files are. */
import { join } from 'node:path'
import { DialtoneError } from '../model/dialtone-error.ts'

export type LaboratoryFolders = {
  readonly root: string
  readonly record: string
  readonly controller: string
  readonly shared: string
  readonly hosts: string
  readonly hardware: string
  readonly log: string
  readonly controlSocket: string
  /** sysfs of the fabric's namespace: a port is switched there by one write. */
  readonly fabricSysfs: string
}

/** The kernel's limit of a socket's path is 107; the margin is for what agents put beside these. */
const longestSocketPath = 99

export function homeOf(environment: Readonly<Record<string, string | undefined>>): string {
  return environment['DIALTONE_HOME'] || '/var/lib/dialtone'
}

export function laboratoriesFolder(home: string): string {
  return join(home, 'labs')
}

export function laboratoryFolders(home: string, laboratory: string): LaboratoryFolders {
  const root = join(laboratoriesFolder(home), laboratory)
  const hardware = join(root, 'hardware')
  return {
    root,
    record: join(root, 'lab.json'),
    controller: join(root, 'controller'),
    shared: join(root, 'shared'),
    hosts: join(root, 'hosts'),
    hardware,
    log: join(root, 'log'),
    controlSocket: join(hardware, 'control.sock'),
    fabricSysfs: join(hardware, 'fabric-sysfs'),
  }
}

export function hostFolder(folders: LaboratoryFolders, host: string): string {
  return join(folders.hosts, host)
}

export function watchdogSocketOf(folders: LaboratoryFolders, host: string): string {
  return join(hostFolder(folders, host), 'hardware', 'watchdog.sock')
}

/** Throws `machine-setup` when sockets in this folder would have names too long for the kernel. */
export function checkSocketPaths(folders: LaboratoryFolders): void {
  const longest = join(hostFolder(folders, 'h99'), 'machines', 'vm-1a2b3c4d', 'control.sock')
  const excess = Buffer.byteLength(longest) - longestSocketPath
  if (excess <= 0) return
  throw new DialtoneError(
    'machine-setup',
    `${folders.root} is ${excess} characters too long for the sockets in it: set DIALTONE_HOME to a shorter folder`,
  )
}
