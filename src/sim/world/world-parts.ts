/** What a simulated world is made of, for those who break it and for those who look at it. */
import type { FakeMachine } from '../../agent/hypervisor/fake/fake-world.ts'
import type { ControllerMachine } from '../controller/controller-machine.ts'
import type { FenceDevices } from '../controller/fence-devices.ts'
import type { HostBoot } from '../host/host-boot.ts'
import type { SimulatedHost } from '../host/simulated-host.ts'
import type { SimulatedNetwork } from '../net/simulated-network.ts'
import type { SimulatedStorage } from '../storage/simulated-storage.ts'

export type WorldParts = {
  readonly network: SimulatedNetwork
  readonly controller: ControllerMachine
  readonly fences: FenceDevices
  readonly hosts: ReadonlyMap<string, SimulatedHost>
  /** Throws for a name that there is not. */
  host(name: string): SimulatedHost
  storage(name: string): SimulatedStorage
  sharedStorages(): readonly SimulatedStorage[]
  /** The processes of this VM, wherever they are, whatever anybody believes. */
  machinesOf(vmName: string): readonly { readonly machine: FakeMachine; readonly boot: HostBoot }[]
}
