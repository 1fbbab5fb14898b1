/** A disc goes into a drive of a machine that is kept here, or comes out. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { IsoId } from '../../model/ids.ts'
import { type Keeping, writeRecord } from './keeping.ts'

export type DiscChange = { readonly drive: number; readonly isoId: IsoId | null; readonly isForced: boolean }

/** First in the drive, then written down: a guest that holds on to its disc changes nothing. */
export async function changeDisc(keeping: Keeping, { drive, isoId, isForced }: DiscChange): Promise<void> {
  const { running, ports, record, departure } = keeping
  const { machine } = record
  if (departure !== undefined && departure.state !== 'failed')
    throw new DialtoneError('in-use', `${machine.name} is being moved: change its discs when it has arrived`)
  const path = isoId === null ? null : await ports.discPath(isoId)
  if (running !== undefined) await running.changeDisc(drive, path, isForced)
  const cdroms = Array.from({ length: Math.max(drive + 1, machine.cdroms.length) }, (_, index) =>
    index === drive ? isoId : (machine.cdroms[index] ?? null),
  )
  await writeRecord(keeping, { machine: { ...machine, cdroms } })
  // What waits to take it over has the other disc.
  await keeping.spare.drop()
}
