/** What is done about each difference between a machine as it is and as it was when a snapshot was taken. Pure. */
import type { Snapshot } from '../../model/snapshots/snapshot.ts'
import type { VmSpec } from '../../model/vm.ts'

/** Sentences; none when it is the same. */
export function describeDifferences(spec: VmSpec, snapshot: Snapshot): readonly string[] {
  const sentences: string[] = []
  const { machine } = snapshot
  const then = new Set(snapshot.disks.map(({ volumeId }) => volumeId))
  const now = new Set(spec.disks.map(({ volumeId }) => volumeId))
  const added = spec.disks.filter(({ volumeId }) => !then.has(volumeId))
  const gone = snapshot.disks.filter(({ volumeId }) => !now.has(volumeId))
  if (added.length > 0) sentences.push(`${namesOf(added)} came later and stays as it is`)
  if (gone.length > 0) sentences.push(`${namesOf(gone)} is no longer a disk of it and is left alone`)
  const sizes = [
    ['CPUs', machine.cpus, spec.cpus],
    ['MiB of memory', machine.memoryMiB, spec.memoryMiB],
  ] as const
  for (const [what, before, present] of sizes)
    if (before !== present) sentences.push(`it had ${before} ${what} and has the ${present} of now again`)
  if (snapshot.imageId !== null && gone.length > 0)
    sentences.push(
      'its memory of that instant does not fit the machine as it is: it boots on the disks of that instant',
    )
  return sentences
}

function namesOf(disks: readonly { readonly volumeId: string }[]): string {
  return disks.map(({ volumeId }) => volumeId).join(', ')
}
