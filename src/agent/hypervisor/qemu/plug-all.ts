/** Before a stream is loaded: what the machine of that stream had got while it ran, behind the same ports. */
import type { MachineShape } from '../hypervisor.ts'
import { attachDisk } from './hot-plug.ts'
import { attachCard } from './plug-cards.ts'
import type { QmpLine } from './qmp-session.ts'

export async function plugAll(
  line: QmpLine,
  { plugged = [], moreCards = [] }: Pick<MachineShape, 'plugged' | 'moreCards'>,
  isLocking: boolean,
): Promise<void> {
  for (const [index, disk] of plugged.entries())
    await attachDisk(line, { ...disk, port: disk.port ?? index }, isLocking)
  for (const card of moreCards) if (card.port !== undefined) await attachCard(line, card)
}
