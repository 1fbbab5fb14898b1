/** Snapshots for tests of decisions. */
import { sharedId, someTime, vmIdOf, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { snapshotIdSchema } from '../../model/ids.ts'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'

export const snapshotIdOf = (word: string) => snapshotIdSchema.parse(`snap-${word.padEnd(8, 'z').slice(0, 8)}`)

/** Of the machine `web`; `parent`: the word of another one. */
export function makeSnapshot(
  word: string,
  { parent, ...changes }: Partial<Snapshot> & { readonly parent?: string } = {},
): Snapshot {
  const hardware = {
    machineType: 'pc-q35-7.2',
    cpuModel: 'qemu64-v1',
    accelerator: 'tcg',
    qemuVersion: '7.2.22',
  } as const
  return {
    ...{ formatVersion: 1, id: snapshotIdOf(word), vmId: vmIdOf('web'), name: word, note: '', kind: 'disk' },
    consistency: 'crash',
    parentId: parent === undefined ? null : snapshotIdOf(parent),
    disks: [{ volumeId: volumeIdOf('web'), storageId: sharedId, layerId: null, sizeMiB: 100 }],
    imageId: null,
    machine: { name: 'web', cpus: 1, memoryMiB: 128, hardware, templateVersion: 'tiny-1' },
    ...{ wasRunning: true, takenAt: someTime, pauseMs: 0, origin: 'user', setId: null, isProtected: false },
    ...changes,
  }
}
