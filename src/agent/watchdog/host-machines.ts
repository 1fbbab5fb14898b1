/** The machines of a host as its watchdog process sees and ends them: by their cgroups, without asking anybody. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Everything here is synchronous: the watchdog process must not wait. */
export type HostMachines = {
  /** SIGKILL to everything in this cgroup. One that vanished, or whose processes can't be killed, is seen by `isPopulated`. */
  kill(cgroupDirectory: string): void
  /** What can't be looked at may hold a machine: only a cgroup that isn't there, or is empty, holds none. */
  isPopulated(cgroupDirectory: string): boolean
  /** Whether any machine of this host has a process. */
  holdsAny(): boolean
}

/** `machinesCgroup`: holds one cgroup for each machine. */
export function machinesInCgroups(machinesCgroup: string): HostMachines {
  return {
    kill(cgroupDirectory) {
      try {
        writeFileSync(join(cgroupDirectory, 'cgroup.kill'), '1')
      } catch {
        // It vanished in between, or it can't be killed: the next look tells.
      }
    },
    isPopulated,
    holdsAny() {
      try {
        return readdirSync(machinesCgroup, { withFileTypes: true }).some(
          (entry) => entry.isDirectory() && isPopulated(join(machinesCgroup, entry.name)),
        )
      } catch (error) {
        return !isGone(error)
      }
    },
  }
}

function isPopulated(cgroupDirectory: string): boolean {
  try {
    return readFileSync(join(cgroupDirectory, 'cgroup.events'), 'utf8').includes('populated 1')
  } catch (error) {
    return !isGone(error)
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENODEV')
}
