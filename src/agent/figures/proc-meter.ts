/** Reads what the kernel counts, from `/proc` and cgroups: some five small files for the host and three for each machine. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Counters, HostMeter, MeteredMachine } from './host-meter.ts'
import {
  cpuMsOfCgroup,
  cpuMsOfHost,
  diskKiBOfHost,
  diskKiBOfProcess,
  memoryMiBOfHost,
  memoryMiBOfProcess,
  trafficKiB,
  trafficOfHost,
  trafficOfTaps,
} from './read-counters.ts'

/** How finely it is seen whether this process gets to run. */
const stallResolutionMs = 50

/** `bridge`: the host's own, which is no port of it. */
export function createProcMeter({ bridge }: { readonly bridge: string }): HostMeter {
  const stalls = monitorEventLoopDelay({ resolution: stallResolutionMs })
  stalls.enable()
  return {
    async measure(machines) {
      const interfaces = trafficKiB(await readOrNothing('/proc/self/net/dev'))
      const host = await measureHost(trafficOfHost(interfaces, bridge))
      const counters = new Map<MeteredMachine['vmId'], Counters>()
      for (const machine of machines) {
        const found = await measureMachine(machine, trafficOfTaps(interfaces, machine.tapNames))
        if (found !== undefined) counters.set(machine.vmId, found)
      }
      const stallMs = Math.max(0, stalls.max / 1e6 - stallResolutionMs)
      stalls.reset()
      return { host, machines: counters, stallMs }
    },
  }
}

type Traffic = ReturnType<typeof trafficOfHost>

async function measureHost(traffic: Traffic): Promise<Counters> {
  const disk = diskKiBOfHost(await readOrNothing('/proc/diskstats'))
  return {
    cpuMs: cpuMsOfHost(await readOrNothing('/proc/stat')),
    memoryMiB: memoryMiBOfHost(await readOrNothing('/proc/meminfo')),
    diskReadKiB: disk.read,
    diskWrittenKiB: disk.written,
    networkInKiB: traffic.in,
    networkOutKiB: traffic.out,
  }
}

/** Undefined when its process is gone. */
async function measureMachine(
  { pid, cgroupDirectory }: MeteredMachine,
  traffic: Traffic,
): Promise<Counters | undefined> {
  const memory = await readOrNothing(`/proc/${pid}/statm`)
  if (memory === '') return undefined
  const disk = diskKiBOfProcess(await readOrNothing(`/proc/${pid}/io`))
  return {
    cpuMs: cpuMsOfCgroup(await readOrNothing(join(cgroupDirectory, 'cpu.stat'))),
    memoryMiB: memoryMiBOfProcess(memory),
    diskReadKiB: disk.read,
    diskWrittenKiB: disk.written,
    networkInKiB: traffic.in,
    networkOutKiB: traffic.out,
  }
}

/** A kernel without this file, or a process that has just ended, is no reason to measure nothing. */
function readOrNothing(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}
