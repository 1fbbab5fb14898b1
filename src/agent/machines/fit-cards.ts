/** Network cards that come to a running machine, and go. */
import type { HardwareNote } from '../../model/growth.ts'
import { presentOf } from '../../model/present-shape.ts'
import type { Attempt, Look } from './hardware-attempt.ts'
import { type Keeping, writeRecord } from './keeping.ts'
import { connectPluggedCard, disconnectPluggedCard } from './machine-cards.ts'

export async function fitCards(
  keeping: Keeping,
  { machine: running, before, userId }: Look & { readonly userId: number },
  attempt: Attempt,
): Promise<readonly HardwareNote[]> {
  const { tapName, machine } = keeping.record
  const notes: HardwareNote[] = []
  for (const { number, isDetached } of machine.moreNics) {
    const of = { what: 'card', which: `${number}` } as const
    const isThere = before.cards.includes(number)
    const { port } = presentOf(keeping.record.machine).cards.find((card) => card.number === number) ?? { port: null }
    if (isDetached === true && isThere && port === null)
      notes.push({ ...of, why: 'it began with this card: it is taken out at its next start', needsRestart: true })
    else if (isDetached === true && isThere) {
      await attempt(of, async () => {
        await running.detachCard(number)
        await disconnectPluggedCard(machine, { number, tapName }, keeping.ports)
        await noteCards(keeping, await running.plugged())
      })
    } else if (isDetached !== true && !isThere) {
      await attempt(of, async () => {
        await running.attachCard(await connectPluggedCard(machine, { number, tapName, userId }, keeping.ports))
        await noteCards(keeping, await running.plugged())
      })
    }
  }
  return notes
}

/** Its taps are known by this to whoever comes next. */
async function noteCards(
  keeping: Keeping,
  { cards }: { readonly cards: readonly { readonly number: number; readonly port: number }[] },
): Promise<void> {
  const { machine } = keeping.record
  const present = presentOf(machine)
  const began = present.cards.filter(({ port }) => port === null)
  await writeRecord(keeping, {
    machine: { ...machine, present: { ...present, cards: [...began, ...cards.map((card) => ({ ...card }))] } },
  })
}
