/**
 * Which layers are needed by images and snapshots, recorded beside the disks as empty files whose names say it all,
 * `needed+LAYER+NEEDER+VOLUME THAT IT LIES BESIDE`: one look into a volume's folder answers it. Made before the manifest of the needer and
 * removed after it; one whose needer isn't there says nothing.
 */
import { open, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  type ImageId,
  imageIdSchema,
  type LayerId,
  layerIdSchema,
  type SnapshotId,
  snapshotIdSchema,
  type VolumeId,
} from '../../../model/ids.ts'
import { layerFileName } from './current-layer.ts'
import { layerUnder, maximumLayers, readLinkIfThere } from './disk-chain.ts'
import { isErrno, syncPath } from './durable-files.ts'

export const manifestName = 'manifest.json'

/** An image or a snapshot, and the volume that it lies beside. */
export type NeederPlace = { readonly id: ImageId | SnapshotId; readonly besideVolumeId: VolumeId }

/** `folder` is that of the volume whose layer it is. */
export async function markNeeded(folder: string, layerId: LayerId | null, needer: NeederPlace): Promise<void> {
  const path = join(folder, `needed+${layerId ?? 'first'}+${needer.id}+${needer.besideVolumeId}`)
  const file = await open(path, 'a', 0o644)
  await file.close()
  await syncPath(folder)
}

/** Takes back what `markNeeded` wrote for it; a volume that isn't there is fine. */
export async function unmarkNeeded(folder: string, needer: NeederPlace): Promise<void> {
  const ending = `+${needer.id}+${needer.besideVolumeId}`
  for (const name of await namesIn(folder)) {
    if (name.startsWith('needed+') && name.endsWith(ending)) await rm(join(folder, name), { force: true })
  }
}

/** An image or a snapshot that is there and needs this layer, or one that lies on it. `names` is what the volume's folder holds. */
export async function neederOf(
  folder: string,
  layerId: LayerId | null,
  names: readonly string[],
): Promise<string | undefined> {
  for (const mark of marksIn(names)) {
    if (!(await liesOn(folder, mark.layerId, layerId))) continue
    if (await isThere(proofOf(folder, mark))) return mark.id
  }
  return undefined
}

/** The layers of this folder that an image or a snapshot that is there needs. */
export async function neededLayers(folder: string, names: readonly string[]): Promise<ReadonlySet<LayerId | null>> {
  const needed = new Set<LayerId | null>()
  for (const mark of marksIn(names)) {
    if (!needed.has(mark.layerId) && (await isThere(proofOf(folder, mark)))) needed.add(mark.layerId)
  }
  return needed
}

/** Where a snapshot is written down beside this volume. */
export function snapshotPath(volumeFolder: string, snapshotId: SnapshotId): string {
  return join(volumeFolder, 'snapshots', `${snapshotId}.json`)
}

type Mark = { readonly layerId: LayerId | null; readonly id: ImageId | SnapshotId; readonly besideVolumeId: string }

function marksIn(names: readonly string[]): readonly Mark[] {
  return names.flatMap((name) => {
    const [kind, needed, id, besideVolumeId] = name.split('+')
    const layerId = needed === 'first' ? null : layerIdSchema.safeParse(needed).data
    const needer = imageIdSchema.safeParse(id).data ?? snapshotIdSchema.safeParse(id).data
    if (kind !== 'needed' || layerId === undefined || needer === undefined || besideVolumeId === undefined) return []
    return [{ layerId, id: needer, besideVolumeId }]
  })
}

/** What is there only when the needer is. */
function proofOf(folder: string, { id, besideVolumeId }: Mark): string {
  const beside = join(dirname(folder), besideVolumeId)
  const snapshotId = snapshotIdSchema.safeParse(id)
  return snapshotId.success ? snapshotPath(beside, snapshotId.data) : join(beside, 'images', id, manifestName)
}

/** Whether the way down from `top` comes to this layer. */
async function liesOn(folder: string, top: LayerId | null, layerId: LayerId | null): Promise<boolean> {
  let next: LayerId | null = top
  for (let depth = 0; next !== layerId; depth += 1) {
    if (next === null || depth > maximumLayers) return false
    const link = await readLinkIfThere(join(folder, layerFileName(next)))
    if (link === undefined) return false
    next = layerUnder(link)
  }
  return true
}

/** What a folder holds; nothing when it isn't there. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  })
}

export async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}
