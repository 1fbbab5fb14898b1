/**
 * Disks that come to a running machine, grow, and go. One that comes is the machine's in the store already: its storage is guarded and it is
 * claimed before it is opened. One that goes stays the machine's until its guest has let go of it, and until somebody else decides about it.
 */
import type { HardwareNote } from '../../model/growth.ts'
import { attachedDisks, presentOf } from '../../model/present-shape.ts'
import { dataDisksOf, openDisk } from '../recovery/machine-shape.ts'
import { guardMachine } from './guard-machine.ts'
import type { Attempt, Look } from './hardware-attempt.ts'
import { type Keeping, lifeOf } from './keeping.ts'
import { assertLicensed, claimDisks } from './launch-machine.ts'

const unmountTimeoutMs = 20_000

export async function fitDisks(
  keeping: Keeping,
  { machine: running, before }: Look,
  attempt: Attempt,
): Promise<readonly HardwareNote[]> {
  const { machine } = keeping.record
  const has = new Map(before.disks.map(({ volumeId, sizeMiB }) => [volumeId, sizeMiB]))
  const began = presentOf(machine).volumeIds
  const notes: HardwareNote[] = []
  for (const { volumeId, isDetached } of machine.disks) {
    if (isDetached !== true || !has.has(volumeId)) continue
    const of = { what: 'disk', which: volumeId } as const
    if (began.includes(volumeId))
      notes.push({ ...of, why: 'it began with this disk: it is taken out at its next start', needsRestart: true })
    else
      await attempt(of, async () => {
        // Its agent has mounted it there.
        if (machine.recovery.mode === 'warm')
          await running.askResident({ do: 'unmount', serial: volumeId }, unmountTimeoutMs)
        await running.detachDisk(volumeId)
      })
  }
  const missing = attachedDisks(machine).filter(({ volumeId }) => !has.has(volumeId))
  // Those of a machine that recovers warm come when it serves, and are mounted.
  const later = dataDisksOf(machine)
  const coming = missing.filter((disk) => !later.includes(disk))
  if (missing.length > 0) await takeCharge(keeping)
  for (const disk of coming)
    await attempt({ what: 'disk', which: disk.volumeId }, async () =>
      running.attachDisk(await openDisk(machine, disk, keeping.ports)),
    )
  for (const { volumeId, sizeMiB = 0 } of attachedDisks(machine))
    if (sizeMiB > (has.get(volumeId) ?? 0) && !later.some((disk) => disk.volumeId === volumeId && !has.has(volumeId)))
      await attempt({ what: 'disk', which: volumeId }, () => running.resizeDisk(volumeId, sizeMiB))
  for (const { volumeId } of missing.filter((disk) => later.includes(disk)))
    notes.push({ what: 'disk', which: volumeId, why: 'it comes when the machine serves', needsRestart: false })
  return notes
}

/** As before a start: its licence covers the storages of all its disks, and nobody else's claim stands beside them. */
async function takeCharge(keeping: Keeping): Promise<void> {
  const { record, ports } = keeping
  await guardMachine(keeping, false)
  assertLicensed(record.machine, ports)
  await claimDisks(record.machine, lifeOf(keeping), ports)
}
