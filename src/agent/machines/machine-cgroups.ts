/** One cgroup a machine, below the host's. The watchdog process and the host's hardware kill by the same tree. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isCgroupEmpty, killCgroupAndWait, makeCgroup, processesIn, removeCgroup } from '../../linux/cgroup.ts'
import { limitCpu, removeCpuLimits } from '../../linux/cpu-limits.ts'
import type { VmId } from '../../model/ids.ts'
import type { MachineCgroups } from './machine-ports.ts'

export function createMachineCgroups(hostCgroup: string): MachineCgroups {
  const machines = join(hostCgroup, 'machines')
  const spares = join(hostCgroup, 'spares')
  const directory = (vmId: VmId) => join(machines, vmId)
  return {
    directory,
    async make(vmId) {
      await makeCgroup(directory(vmId))
      return directory(vmId)
    },
    kill: (vmId, deadlineMs) => killCgroupAndWait(directory(vmId), deadlineMs),
    async remove(vmId) {
      await removeCpuLimits(directory(vmId))
      await removeCgroup(directory(vmId))
    },
    limit: (vmId, limits) => limitCpu(directory(vmId), limits),
    async makeSpare(vmId) {
      await makeCgroup(join(spares, vmId))
      return join(spares, vmId)
    },
    async endSpare(vmId, deadlineMs) {
      await killCgroupAndWait(join(spares, vmId), deadlineMs)
      await removeCgroup(join(spares, vmId))
    },
    listSpares: () => listPopulated(spares),
    async makeForTools() {
      const tools = join(hostCgroup, 'tools')
      await makeCgroup(tools)
      return tools
    },
    listPopulated: () => listPopulated(machines),
  }
}

async function listPopulated(folder: string): Promise<readonly { readonly name: string; readonly pids: number[] }[]> {
  const names = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const populated: { readonly name: string; readonly pids: number[] }[] = []
  for (const entry of names) {
    const path = join(folder, entry.name)
    if (entry.isDirectory() && !(await isCgroupEmpty(path)))
      populated.push({ name: entry.name, pids: await processesIn(path) })
  }
  return populated
}
