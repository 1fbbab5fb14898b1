/** A snapshot for tests. */
import { snapshotIdSchema } from '../../model/ids.ts'
import { type Snapshot, snapshotSchema } from '../../model/snapshots/snapshot.ts'

export const sampleSnapshotId = snapshotIdSchema.parse('snap-aaaaaaaa')

export function makeSampleSnapshot(
  disks: readonly { readonly volumeId: string; readonly layerId: string | null }[],
  changes: Partial<Pick<Snapshot, 'id' | 'takenAt' | 'name'>> = {},
): Snapshot {
  return snapshotSchema.parse({
    formatVersion: 1,
    id: sampleSnapshotId,
    vmId: 'vm-aaaaaaaa',
    name: 'before',
    note: '',
    kind: 'disk',
    consistency: 'crash',
    parentId: null,
    disks: disks.map((disk) => ({ ...disk, storageId: 'st-aaaaaaaa', sizeMiB: 64 })),
    imageId: null,
    machine: {
      name: 'web',
      cpus: 1,
      memoryMiB: 128,
      hardware: { machineType: 'pc-q35-7.2', qemuVersion: '7.2.22', cpuModel: 'qemu64', accelerator: 'tcg' },
      templateVersion: 'tiny-1',
    },
    wasRunning: true,
    takenAt: '2026-01-02T03:04:05.678Z',
    pauseMs: 0,
    origin: 'user',
    setId: null,
    isProtected: false,
    ...changes,
  })
}
