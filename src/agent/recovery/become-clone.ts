/**
 * Turns a machine that was resumed from another one's memory into a machine of its own, before anybody can hear it: its card is in no
 * network and its link is down until its guest has new random numbers, names, keys and addresses, all in one message.
 */
import { createHash } from 'node:crypto'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { type ResidentRequest, residentEntropyBytes } from '../hypervisor/resident-protocol.ts'
import type { MachinePorts } from '../machines/machine-ports.ts'

const becomeTimeoutMs = 10_000

/** The machine stands paused when this is called, and runs in its network when it returns. Throws `image-unfit` when its guest does not answer. */
export async function becomeClone(
  machine: MachineOrder,
  { running, plug }: { readonly running: RunningMachine; plug(): Promise<void> },
  ports: MachinePorts,
): Promise<void> {
  const identity = await identityOf(machine, ports)
  await running.setLink(false)
  await running.resume()
  try {
    await running.askResident(identity, becomeTimeoutMs)
  } catch (cause) {
    throw new DialtoneError(
      'image-unfit',
      `the guest of ${machine.name} did not take its new identity, so it would repeat the random numbers and keys of its origin`,
      { cause },
    )
  }
  await plug()
  await running.setLink(true)
}

/** All that makes a guest another machine, in one message. */
export async function identityOf(
  machine: MachineOrder,
  ports: Pick<MachinePorts, 'network' | 'clock' | 'randomBytes'>,
): Promise<ResidentRequest> {
  const { prefixLength, gateway } = await ports.network.settingsOf(machine.nic.networkId)
  return {
    do: 'become',
    timeMs: ports.clock.wallTime().getTime(),
    entropy: Buffer.from(ports.randomBytes(residentEntropyBytes)).toString('hex'),
    name: machine.name,
    machineId: machineIdOf(machine),
    macAddress: machine.nic.macAddress,
    address: machine.nic.address,
    prefixLength,
    gateway,
  }
}

/** As systemd wants it: 32 hexadecimal digits. Unique as the VM's id is. */
function machineIdOf({ vmId, generationId }: MachineOrder): string {
  return createHash('sha256').update(`machine-id:${vmId}:${generationId}`).digest('hex').slice(0, 32)
}
