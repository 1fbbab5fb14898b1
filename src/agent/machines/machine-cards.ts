/** A machine's network cards on this host: a tap for each, which all go up and down together. */
import type { MachineNic, MachineOrder } from '../../model/machine-order.ts'
import type { NetworkCard } from '../network/network.ts'
import { furtherTapName } from './machine-names.ts'
import type { MachinePorts } from './machine-ports.ts'

type Ports = Pick<MachinePorts, 'network'>

/** `tapName`: the first card's; those of the others follow from it. */
export function cardsOf(machine: MachineOrder, tapName: string): readonly NetworkCard[] {
  const { vmId, name: hostName } = machine
  const toCard = ({ macAddress, address, address6, networkId }: MachineNic, tap: string): NetworkCard => {
    return { vmId, hostName, macAddress, address, address6, networkId, tapName: tap }
  }
  const more = machine.moreNics.map((nic) => toCard(nic, furtherTapName(tapName, nic.number)))
  return [toCard(machine.nic, tapName), ...more]
}

/** What the hypervisor is told of the cards after the first one. */
export function furtherCards(machine: MachineOrder, tapName: string) {
  return machine.moreNics.map(({ number, macAddress, mtu }) => ({
    number,
    macAddress,
    mtu,
    tapName: furtherTapName(tapName, number),
  }))
}

export async function connectCards(machine: MachineOrder, tapName: string, { network }: Ports): Promise<void> {
  for (const card of cardsOf(machine, tapName)) await network.connect(card)
}

export async function prepareTaps(machine: MachineOrder, tapName: string, { network }: Ports): Promise<void> {
  for (const card of cardsOf(machine, tapName)) await network.prepareTap(card)
}

/** Quick: a recovery waits for it. */
export async function plugCards(machine: MachineOrder, tapName: string, { network }: Ports): Promise<void> {
  await Promise.all(cardsOf(machine, tapName).map((card) => network.plug(card)))
}

export async function removeTaps(machine: MachineOrder, tapName: string, { network }: Ports): Promise<void> {
  for (const card of cardsOf(machine, tapName)) await network.removeTap(card.tapName)
}

export async function disconnectCards(machine: MachineOrder, tapName: string, { network }: Ports): Promise<void> {
  for (const card of cardsOf(machine, tapName)) await network.disconnect(card)
}
