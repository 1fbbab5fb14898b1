/** Writes the archive that Linux unpacks as its first file system (cpio, "newc"). Same entries, same bytes. */

export type ArchiveEntry =
  | { readonly kind: 'file'; readonly path: string; readonly content: Buffer; readonly isExecutable: boolean }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'character-device'; readonly path: string; readonly major: number; readonly minor: number }

const fileTypes = { file: 0o100000, folder: 0o040000, link: 0o120000, 'character-device': 0o020000 } as const

/** Entries are sorted by path, parents are added where they lack, owner is root and time is 0. Paths have no leading slash. */
export function cpioArchive(entries: readonly ArchiveEntry[]): Buffer {
  const byPath = new Map<string, ArchiveEntry>()
  for (const entry of entries) {
    for (const parent of parentsOf(entry.path)) {
      if (!byPath.has(parent)) byPath.set(parent, { kind: 'folder', path: parent })
    }
    byPath.set(entry.path, entry)
  }
  const sorted = [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  const parts = sorted.map((entry, index) => encode(entry, index + 1))
  return Buffer.concat([...parts, member('TRAILER!!!', [0, 0, 0, 0], Buffer.alloc(0))])
}

function encode(entry: ArchiveEntry, number: number): Buffer {
  const mode = fileTypes[entry.kind] | permissions(entry)
  if (entry.kind === 'file') return member(entry.path, [number, mode, 0, 0], entry.content)
  if (entry.kind === 'link') return member(entry.path, [number, mode, 0, 0], Buffer.from(entry.target))
  const device = entry.kind === 'character-device' ? [entry.major, entry.minor] : [0, 0]
  return member(entry.path, [number, mode, ...device], Buffer.alloc(0))
}

function permissions(entry: ArchiveEntry): number {
  if (entry.kind === 'link') return 0o777
  if (entry.kind === 'folder') return 0o755
  if (entry.kind === 'character-device') return 0o600
  return entry.isExecutable ? 0o755 : 0o644
}

/** One member: inode, mode, and the numbers of the device that it stands for. */
function member(name: string, [inode = 0, mode = 0, major = 0, minor = 0]: readonly number[], content: Buffer): Buffer {
  const bytes = Buffer.from(`${name}\0`)
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, bytes.length, 0]
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`)
  return Buffer.concat([padded(Buffer.concat([header, bytes])), padded(content)])
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}

function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}
