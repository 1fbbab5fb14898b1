/** What one boot of a simulated host holds: processes of machines, cgroups, taps. The agents on it come and go. */

import { createFakeFirewall } from '../../agent/firewall/fake/fake-firewall.ts'
import {
  createFakeWorld,
  endFakeMachine,
  type FakeMachine,
  type FakeWorld,
} from '../../agent/hypervisor/fake/fake-world.ts'
import type { MachineCgroups } from '../../agent/machines/machine-ports.ts'
import { createFakeNetwork, type FakeNetwork } from '../../agent/network/fake/fake-network.ts'
import { type GuardedNetwork, guardNetwork } from '../../agent/network/guarded-network.ts'
import type { HostMachines } from '../../agent/watchdog/host-machines.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type VmId, vmIdSchema } from '../../model/ids.ts'
import type { WorldTime } from '../time/world-time.ts'

export type HostKernel = {
  readonly processes: FakeWorld
  readonly network: FakeNetwork
  readonly guardedNetwork: GuardedNetwork
  readonly cgroups: MachineCgroups
  /** As the watchdog process sees them. */
  readonly hostMachines: HostMachines
  living(): readonly FakeMachine[]
}

/** How long QEMU takes for what it does, in milliseconds. */
const paces = { startMs: 60, prepareMs: 60, captureMs: 40, sendMs: 400, bakeMs: 80, powerOffMs: 300 }

export type HostKernelOptions = {
  readonly time: WorldTime
  /** Resolves when no write of this machine is in flight; throws `deadline-exceeded` when that takes too long. */
  drained(machine: FakeMachine): Promise<void>
  /** SIGKILL came to one that can't die at the moment. */
  endWhenPossible(machine: FakeMachine): void
}

export function createHostKernel({ time, drained, endWhenPossible }: HostKernelOptions): HostKernel {
  const wait = (delayMs: number) => new Promise<void>((resolve) => void time.after(delayMs, resolve))
  const processes = createFakeWorld({
    ...paces,
    wait,
    drained,
    wallTime: () => new Date(time.wallTimeMs()),
  })
  const network = createFakeNetwork()
  const living = () => [...processes.machines.values()].filter(({ exit }) => exit === undefined)
  const livingSpares = () => [...processes.spares.values()].filter(({ exit }) => exit === undefined)
  const inCgroup = (directory: string) => living().filter(({ definition }) => definition.cgroupDirectory === directory)
  const killed = { reason: 'crashed', detail: 'ended by SIGKILL' } as const
  const killAll = (directory: string) => {
    for (const machine of inCgroup(directory)) {
      if (machine.isUnkillable) endWhenPossible(machine)
      else endFakeMachine(machine, killed)
    }
  }
  const spareDirectory = (vmId: VmId) => `/cgroup/spares/${vmId}`
  const directory = (vmId: VmId) => `/cgroup/machines/${vmId}`

  return {
    processes,
    network,
    guardedNetwork: guardNetwork(network, createFakeFirewall()),
    living,
    hostMachines: {
      kill: killAll,
      isPopulated: (cgroupDirectory) => inCgroup(cgroupDirectory).length > 0,
      holdsAny: () => living().length > 0,
    },
    cgroups: {
      directory,
      make: async (vmId) => directory(vmId),
      async kill(vmId, deadlineMs) {
        const givesUpAtMs = time.nowMs() + deadlineMs
        killAll(directory(vmId))
        while (inCgroup(directory(vmId)).length > 0) {
          if (time.nowMs() >= givesUpAtMs)
            throw new DialtoneError('deadline-exceeded', `${vmId} still has processes ${deadlineMs} ms after SIGKILL`)
          await wait(20)
          killAll(directory(vmId))
        }
      },
      remove: async () => undefined,
      limit: async () => undefined,
      makeSpare: async (vmId) => spareDirectory(vmId),
      async endSpare(vmId) {
        for (const spare of livingSpares())
          if (spare.shape.cgroupDirectory === spareDirectory(vmId)) endFakeMachine(spare, killed)
      },
      listSpares: async () => livingSpares().map(({ pid, shape }) => ({ name: shape.vmId, pids: [pid] })),
      makeForTools: async () => '/cgroup/tools',
      listPopulated: async () => living().map(({ pid, definition }) => ({ name: definition.vmId, pids: [pid] })),
    },
  }
}

export function vmIdOfMachine({ definition }: FakeMachine): VmId {
  return vmIdSchema.parse(definition.vmId)
}
