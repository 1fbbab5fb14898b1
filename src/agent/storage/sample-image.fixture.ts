/** A memory image for tests: small files outside of the storage, and the manifest that describes them. */
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ImageId, imageIdSchema, type LayerId, type VolumeId, vmIdSchema } from '../../model/ids.ts'
import { type MemoryImageManifest, memoryImageManifestSchema } from '../../model/recovery/memory-image.ts'
import type { ImageFiles } from './storage.ts'

export type SampleImage = { readonly manifest: MemoryImageManifest; readonly files: ImageFiles }

type SampleDisk = { readonly volumeId: VolumeId; readonly layerId: LayerId | null }

export const sampleImageId: ImageId = imageIdSchema.parse('img-aaaaaaaa')

/** Writes the image's files into `folder`. */
export async function makeSampleImage(
  folder: string,
  disks: readonly SampleDisk[],
  changes: { readonly id?: ImageId; readonly capturedAt?: string } = {},
): Promise<SampleImage> {
  const id = changes.id ?? sampleImageId
  const memory = Buffer.concat([Buffer.alloc(40_000), Buffer.from(`memory of ${id}`), Buffer.alloc(50_001)])
  const state = Buffer.from(`state of ${id}`)
  const files = { memory: join(folder, `${id}-memory`), state: join(folder, `${id}-state`) }
  await writeFile(files.memory, memory)
  await writeFile(files.state, state)
  const manifest = memoryImageManifestSchema.parse({
    formatVersion: 1,
    id,
    kind: 'warm',
    vmId: vmIdSchema.parse('vm-aaaaaaaa'),
    vmName: 'web',
    hardware: { machineType: 'pc-q35-7.2', qemuVersion: '7.2.22', cpuModel: 'qemu64', accelerator: 'tcg' },
    cpus: 1,
    memoryMiB: 128,
    shape: 'a'.repeat(64),
    macAddress: '52:54:00:00:00:01',
    address: '10.77.0.2',
    disks,
    files: { memory: describeFile(memory), state: describeFile(state) },
    capturedAt: changes.capturedAt ?? '2026-01-02T03:04:05.678Z',
    pauseMs: 12,
    isLive: true,
  })
  return { manifest, files }
}

export function describeFile(content: Uint8Array): { readonly bytes: number; readonly sha256: string } {
  return { bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') }
}
