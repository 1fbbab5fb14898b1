/**
 * Layers that somebody has let go of, recorded beside them as empty files `let-go+LAYER`. Such a one may be removed when nothing needs it
 * and nothing lies on it; what is not recorded may be a process's that only waits.
 */
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type LayerId, layerIdSchema } from '../../../model/ids.ts'
import { syncPath } from './durable-files.ts'

/** Durable when it returns. */
export async function markLetGo(folder: string, layerIds: readonly LayerId[]): Promise<void> {
  for (const layerId of layerIds) await (await open(join(folder, nameFor(layerId)), 'a', 0o644)).close()
  if (layerIds.length > 0) await syncPath(folder)
}

export async function unmarkLetGo(folder: string, layerId: LayerId): Promise<void> {
  await rm(join(folder, nameFor(layerId)), { force: true })
}

/** `names` is what the volume's folder holds. */
export function letGoLayers(names: readonly string[]): ReadonlySet<LayerId> {
  const found = names.map((name) => {
    const [kind, layerId] = name.split('+')
    return kind === 'let-go' ? layerIdSchema.safeParse(layerId).data : undefined
  })
  return new Set(found.filter((layerId) => layerId !== undefined))
}

function nameFor(layerId: LayerId): string {
  return `let-go+${layerId}`
}
