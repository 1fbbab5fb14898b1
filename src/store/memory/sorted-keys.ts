/** Keys in the order of their UTF-8 bytes (as SQLite and etcd order them), in blocks, so that half a million stay cheap to change. */
export type SortedKeys = {
  readonly add: (key: string) => void
  readonly remove: (key: string) => void
  readonly startingWith: (prefix: string) => Iterable<string>
}

const maxBlockKeys = 1024

export function createSortedKeys(): SortedKeys {
  const blocks: string[][] = [[]]

  function blockIndexFor(key: string): number {
    const after = firstIndexWhere(blocks.length, (index) => compareKeys(blocks[index]?.[0] ?? '', key) > 0)
    return Math.max(0, after - 1)
  }

  return {
    add: (key) => {
      const index = blockIndexFor(key)
      const block = blocks[index] ?? []
      const at = positionIn(block, key)
      if (block[at] === key) return
      block.splice(at, 0, key)
      if (block.length > maxBlockKeys) blocks.splice(index + 1, 0, block.splice(maxBlockKeys / 2))
    },
    remove: (key) => {
      const index = blockIndexFor(key)
      const block = blocks[index] ?? []
      const at = positionIn(block, key)
      if (block[at] !== key) return
      block.splice(at, 1)
      if (block.length === 0 && blocks.length > 1) blocks.splice(index, 1)
    },
    *startingWith(prefix) {
      const first = blockIndexFor(prefix)
      for (let index = first; index < blocks.length; index += 1) {
        const block = blocks[index] ?? []
        for (let at = index === first ? positionIn(block, prefix) : 0; at < block.length; at += 1) {
          const key = block[at] ?? ''
          if (!key.startsWith(prefix)) return
          yield key
        }
      }
    },
  }
}

/** JavaScript compares UTF-16 units, in which characters beyond U+FFFF sort too early. */
export function compareKeys(left: string, right: string): number {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index += 1) {
    const a = left.charCodeAt(index)
    const b = right.charCodeAt(index)
    if (a !== b) return codePointRank(a) - codePointRank(b)
  }
  return left.length - right.length
}

function codePointRank(unit: number): number {
  const isSurrogate = unit >= 0xd800 && unit <= 0xdfff
  return isSurrogate ? unit + 0x10000 : unit
}

function positionIn(block: readonly string[], key: string): number {
  return firstIndexWhere(block.length, (index) => compareKeys(block[index] ?? '', key) >= 0)
}

function firstIndexWhere(length: number, isAtOrBeyond: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isAtOrBeyond(middle)) high = middle
    else low = middle + 1
  }
  return low
}
