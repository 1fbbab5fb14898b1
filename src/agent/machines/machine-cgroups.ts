/** One cgroup a machine, below the host's. The watchdog process and the host's hardware kill by the same tree. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isCgroupEmpty, killCgroupAndWait, makeCgroup, processesIn, removeCgroup } from '../../linux/cgroup.ts'
import type { VmId } from '../../model/ids.ts'
import type { MachineCgroups } from './machine-ports.ts'

export function createMachineCgroups(hostCgroup: string): MachineCgroups {
  const machines = join(hostCgroup, 'machines')
  const directory = (vmId: VmId) => join(machines, vmId)
  return {
    directory,
    async make(vmId) {
      await makeCgroup(directory(vmId))
      return directory(vmId)
    },
    kill: (vmId, deadlineMs) => killCgroupAndWait(directory(vmId), deadlineMs),
    remove: (vmId) => removeCgroup(directory(vmId)),
    async makeForTools() {
      const tools = join(hostCgroup, 'tools')
      await makeCgroup(tools)
      return tools
    },
    async listPopulated() {
      const names = await readdir(machines, { withFileTypes: true }).catch(() => [])
      const populated: { readonly name: string; readonly pids: number[] }[] = []
      for (const entry of names) {
        const path = join(machines, entry.name)
        if (entry.isDirectory() && !(await isCgroupEmpty(path)))
          populated.push({ name: entry.name, pids: await processesIn(path) })
      }
      return populated
    },
  }
}
