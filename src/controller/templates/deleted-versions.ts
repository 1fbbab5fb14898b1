/**
 * Versions of templates that were deleted. Hosts and storages may still have the disk of one, and would take it for that of another one of
 * the same version: none is called so again, but what the same recipe builds anew, which is the same.
 */
import type { Leader } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'

export async function deletedVersions({ store }: Pick<Leader, 'store'>): Promise<readonly string[]> {
  const prefix = keys.nameClaim('template-version', '')
  const { entries } = await store.range(prefix)
  return entries.map(({ key }) => key.slice(prefix.length))
}
