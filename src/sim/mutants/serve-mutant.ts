/**
 * Serves mutated sources to whatever this thread imports from now on; the files themselves stay as they are. To be called before anything of
 * the product is imported.
 */
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { type Mutant, mutate } from './mutant.ts'

export type ServedMutant = {
  /** Its files that nothing has imported: as long as there are any, it is not the mutant that runs. */
  unread(): readonly string[]
}

const root = new URL('../../../', import.meta.url)

export function serveMutant({ patches }: Mutant): ServedMutant {
  const unread = new Set(patches.map(({ file }) => file))
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const file = url.startsWith(root.href) ? fileURLToPath(url).slice(fileURLToPath(root).length) : ''
      const mine = patches.filter((patch) => patch.file === file)
      if (mine.length === 0) return loaded
      unread.delete(file)
      return { ...loaded, source: mutate(textOf(loaded.source), mine) }
    },
  })
  return { unread: () => [...unread] }
}

function textOf(source: unknown): string {
  if (typeof source === 'string') return source
  if (source instanceof Uint8Array) return new TextDecoder().decode(source)
  throw new Error('a source that is neither text nor bytes can’t be mutated')
}
