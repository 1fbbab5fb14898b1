/** A machine's network cards on this host: a tap for each, which all go up and down together. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { MachineNic, MachineOrder } from '../../model/machine-order.ts'
import { presentOf } from '../../model/present-shape.ts'
import type { AttachedCard } from '../hypervisor/hypervisor.ts'
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
  const more = presentNics(machine).map((nic) => toCard(nic, furtherTapName(tapName, nic.number)))
  return [toCard(machine.nic, tapName), ...more]
}

/** What the hypervisor is told of the cards after the first one. */
export function furtherCards(machine: MachineOrder, tapName: string): AttachedCard[] {
  const { cards } = presentOf(machine)
  return presentNics(machine).map(({ number, macAddress, mtu }) => {
    const port = cards.find((card) => card.number === number)?.port ?? null
    return { number, macAddress, mtu, tapName: furtherTapName(tapName, number), ...(port === null ? {} : { port }) }
  })
}

/** Those after the first one that its process has, whatever it is to have. */
function presentNics(machine: MachineOrder): MachineOrder['moreNics'] {
  const { cards } = presentOf(machine)
  return machine.moreNics.filter(({ number }) => cards.some((card) => card.number === number))
}

/** Makes the tap of a card that is plugged in while its machine runs: that one's user opens it. */
export async function connectPluggedCard(
  machine: MachineOrder,
  { number, ...place }: { readonly number: number; readonly tapName: string; readonly userId: number },
  { network }: Ports,
): Promise<AttachedCard> {
  const nic = machine.moreNics.find((one) => one.number === number)
  if (nic === undefined) throw new DialtoneError('internal', `${machine.name} has no card ${number}`)
  const { macAddress, address, address6, networkId, mtu } = nic
  const tapName = furtherTapName(place.tapName, number)
  const card = { vmId: machine.vmId, hostName: machine.name, macAddress, address, address6, networkId, tapName }
  await network.connect({ ...card, userId: place.userId })
  return { number, macAddress, mtu, tapName }
}

export async function disconnectPluggedCard(
  machine: MachineOrder,
  { number, tapName }: { readonly number: number; readonly tapName: string },
  { network }: Ports,
): Promise<void> {
  const nic = machine.moreNics.find((one) => one.number === number)
  if (nic === undefined) return
  await network.disconnect({
    vmId: machine.vmId,
    networkId: nic.networkId,
    tapName: furtherTapName(tapName, number),
  })
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
