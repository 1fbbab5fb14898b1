import type { MachineOrder } from '../../model/machine-order.ts'
import type { NetworkCard } from '../network/network.ts'

/** The machine's network card, but for the tap that it is plugged into. */
export function cardOf({ vmId, name, nic }: MachineOrder): Omit<NetworkCard, 'tapName'> {
  return { vmId, hostName: name, macAddress: nic.macAddress, address: nic.address }
}
