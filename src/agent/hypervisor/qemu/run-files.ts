/** The files in a machine's run directory. Names are short: the path of a unix socket has at most 107 bytes. */
import { join } from 'node:path'

export type RunFiles = {
  /** Two sockets: one is enough to work with, the other stays free for whoever adopts while a stalled agent holds the first. */
  readonly qmp: readonly [string, string]
  readonly console: string
  readonly consoleLog: string
  readonly guestAgent: string
  readonly resident: string
  /** Where the display is seen, if it has one. */
  readonly vnc: string
  /** In a folder of the machine's user, who makes it. */
  readonly tpm: string
  /** What QEMU itself says. */
  readonly log: string
  readonly pid: string
  /** Who the machine is and which process runs it: see process-identity.ts. */
  readonly record: string
}

export const maximumSocketPathBytes = 107

export function runFiles(runDirectory: string): RunFiles {
  return {
    qmp: [join(runDirectory, 'qmp0'), join(runDirectory, 'qmp1')],
    console: join(runDirectory, 'console'),
    consoleLog: join(runDirectory, 'console.log'),
    guestAgent: join(runDirectory, 'agent'),
    resident: join(runDirectory, 'resident'),
    vnc: join(runDirectory, 'vnc'),
    tpm: join(runDirectory, 'tpm', 'socket'),
    log: join(runDirectory, 'qemu.log'),
    pid: join(runDirectory, 'pid'),
    record: join(runDirectory, 'machine.json'),
  }
}
