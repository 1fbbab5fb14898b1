/** What a simulated host has on its own disk: it outlives agents and boots. */

import type { MachineRecord, MachineRecords } from '../../agent/machines/machine-record.ts'
import type { ClearedSlots } from '../../agent/protection/cleared-slots.ts'
import type { SpareLayer } from '../../agent/recovery/spare-layer.ts'
import type { AgentConfiguration } from '../../model/agent-protocol/heartbeat.ts'
import type { HostCommandReport } from '../../model/host-command.ts'
import type { StorageId, VmId } from '../../model/ids.ts'
import { emptyStatistics, type LadderStatistics } from '../../model/recovery/ladder-statistics.ts'
import { copyOf } from '../net/call.ts'

export type HostDisk = {
  readonly machines: Map<VmId, MachineRecord>
  readonly processes: Map<string, readonly SpareLayer[]>
  readonly commands: Map<string, HostCommandReport>
  /** Slots that were cleared without the leader having been heard since. */
  readonly clearedSlots: Set<StorageId>
  /** How many agents it has had. */
  agentLives: number
  configuration: AgentConfiguration | undefined
  statistics: LadderStatistics
}

export function createHostDisk(): HostDisk {
  return {
    machines: new Map(),
    processes: new Map(),
    commands: new Map(),
    clearedSlots: new Set(),
    agentLives: 0,
    configuration: undefined,
    statistics: emptyStatistics,
  }
}

/** The agent's records on it. */
export function recordsOn({ machines, processes }: HostDisk): MachineRecords {
  return {
    write: async (record) => void machines.set(record.machine.vmId, copyOf(record)),
    remove: async (vmId) => void machines.delete(vmId),
    readAll: async () => [...machines.values()].map((record) => copyOf(record)),
    async makeProcessDirectory(vmId, suffix) {
      processes.set(`${vmId}-${suffix}`, [])
      return `${vmId}-${suffix}`
    },
    processDirectory: (name) => `/run/processes/${name}`,
    removeProcessDirectory: async (name) => void processes.delete(name),
    listProcessDirectories: async () => [...processes.keys()],
    writeSpareLayers: async (name, layers) => void processes.set(name, layers),
    readSpareLayers: async (name) => processes.get(name) ?? [],
    async keepProcessDirectories(names) {
      for (const name of processes.keys()) if (!names.has(name)) processes.delete(name)
    },
  }
}

/** What the agent has written there of slots that it cleared. */
export function clearedSlotsOn({ clearedSlots }: HostDisk): ClearedSlots {
  return {
    left: [...clearedSlots],
    add: async (storageId) => void clearedSlots.add(storageId),
    remove: async (storageId) => void clearedSlots.delete(storageId),
  }
}

/** What ran when the host lost power did not end. */
export function cutCommandsOff({ commands }: HostDisk): void {
  for (const [runId, { state }] of commands)
    if (state === 'running') commands.set(runId, { state: 'cut-off', exitCode: null, output: '' })
}
