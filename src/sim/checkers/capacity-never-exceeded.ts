/** The machines that have run on a host and still live there never have more memory together than the host. */
import type { Checker } from '../observation.ts'

export function capacityNeverExceeded(): Checker {
  const hosts = new Map<string, { readonly memoryMiB: number; readonly machines: Map<string, number> }>()
  return (seen) => {
    if (seen.kind === 'host-on') hosts.set(seen.hostName, { memoryMiB: seen.memoryMiB, machines: new Map() })
    if (seen.kind === 'host-off') hosts.delete(seen.hostName)
    if (seen.kind === 'process-ended') hosts.get(seen.hostName)?.machines.delete(seen.process)
    if (seen.kind !== 'guest-runs') return undefined
    const host = hosts.get(seen.hostName)
    if (host === undefined || host.machines.has(seen.process)) return undefined
    host.machines.set(seen.process, seen.memoryMiB)
    const usedMiB = [...host.machines.values()].reduce((sum, memoryMiB) => sum + memoryMiB, 0)
    if (usedMiB <= host.memoryMiB) return undefined
    return `machines have ${usedMiB} MiB on ${seen.hostName}, which has ${host.memoryMiB}`
  }
}
