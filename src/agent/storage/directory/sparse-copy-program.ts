/**
 * Copies files, sparse, and prints size and SHA-256 of what it read of each. Arguments: source, a target that must not exist, and so on in
 * pairs. One pass: what is hashed is what is written.
 */
import { execFileSync } from 'node:child_process'
import { createHash, type Hash } from 'node:crypto'
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { z } from 'zod'

const blockBytes = 2 ** 20
/** The guest's and the file system's page: smaller holes don't exist. */
const pageBytes = 4096
const zeros = Buffer.alloc(blockBytes)

const mapSchema = z.array(z.object({ start: z.number(), length: z.number(), data: z.boolean() }))
type Extent = z.infer<typeof mapSchema>[number]

// The agent may be of a higher priority than machines are; its copies are not.
if (getPriority() < 0) setPriority(0)
const copies: unknown[] = []
const paths = process.argv.slice(2)
for (let index = 0; index < paths.length; index += 2) copies.push(copyFile(paths[index] ?? '', paths[index + 1] ?? ''))
process.stdout.write(`${JSON.stringify(copies)}\n`)

function copyFile(source: string, target: string): { readonly bytes: number; readonly sha256: string } {
  const { O_RDONLY, O_NOFOLLOW, O_WRONLY, O_CREAT, O_EXCL } = constants
  const from = openSync(source, O_RDONLY | O_NOFOLLOW)
  const to = openSync(target, O_WRONLY | O_CREAT | O_EXCL, 0o600)
  const bytes = fstatSync(from).size
  const hash = createHash('sha256')
  ftruncateSync(to, bytes)
  for (const extent of extentsOf(source, bytes)) {
    if (extent.data) copyData(extent, { from, to, hash })
    else hashZeros(extent.length, hash)
  }
  fsyncSync(to)
  closeSync(from)
  closeSync(to)
  return { bytes, sha256: hash.digest('hex') }
}

/** Where data and holes are, all of the file in order. A file that can't be asked is all data. */
function extentsOf(path: string, size: number): readonly Extent[] {
  const whole = [{ start: 0, length: size, data: true }]
  try {
    // Node has no seek for holes; qemu-img has one.
    const args = ['map', '--output=json', '--force-share', '-f', 'raw', path]
    const extents = mapSchema.parse(
      JSON.parse(execFileSync('qemu-img', args, { encoding: 'utf8', maxBuffer: 2 ** 28 })),
    )
    const end = extents.reduce((next, { start, length }) => (start === next ? start + length : Number.NaN), 0)
    // Sizes that aren't whole sectors are rounded up by it.
    return end === size ? extents : whole
  } catch {
    return whole
  }
}

function copyData(
  { start, length }: Extent,
  { from, to, hash }: { readonly from: number; readonly to: number; readonly hash: Hash },
): void {
  const block = Buffer.allocUnsafe(Math.min(blockBytes, length))
  const end = start + length
  for (let offset = start; offset < end; ) {
    const count = readSync(from, block, 0, Math.min(block.length, end - offset), offset)
    if (count === 0) throw new Error('the file became shorter while it was copied')
    const read = block.subarray(0, count)
    hash.update(read)
    writeData(to, read, offset)
    offset += count
  }
}

/** Writes what isn't zero, in runs of pages as long as they get. */
function writeData(to: number, block: Buffer, offset: number): void {
  const isZero = (start: number) => {
    const end = Math.min(start + pageBytes, block.length)
    return block.compare(zeros, 0, end - start, start, end) === 0
  }
  for (let start = 0; start < block.length; ) {
    const begin = start
    if (isZero(start)) {
      start += pageBytes
      continue
    }
    while (start < block.length && !isZero(start)) start += pageBytes
    writeAll(to, block.subarray(begin, start), offset + begin)
  }
}

function writeAll(to: number, bytes: Buffer, offset: number): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(to, bytes, written, bytes.length - written, offset + written)
  }
}

function hashZeros(length: number, hash: Hash): void {
  for (let left = length; left > 0; left -= blockBytes) hash.update(zeros.subarray(0, Math.min(left, blockBytes)))
}
