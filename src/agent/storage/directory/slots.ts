/**
 * The slots of the pill: one block per host in one file. A block is framed with a magic word, length and CRC-32, so that a torn or
 * foreign block is an error and never passes for an empty slot, which would let a machine run on.
 */
import { crc32 } from 'node:zlib'
import { directBlockBytes, readBlockDirect, writeBlockDirect } from '../../../linux/direct-block.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'

const magic = 'DTSLOT01'
const headerBytes = magic.length + 8
/** So many slots have their blocks from the beginning: a full storage must not keep a pill from being written. */
const preparedSlots = 256
const maximumSlot = 65535

/** Longest content of a slot, in bytes of UTF-8. */
export const maximumSlotBytes = directBlockBytes - headerBytes

/** Content of the file when the storage is made: slots that were never written. */
export function emptySlots(): Uint8Array {
  return new Uint8Array(preparedSlots * directBlockBytes)
}

export async function readSlotBlock(path: string, slot: number): Promise<string | undefined> {
  assertSlot(slot)
  return decodeSlot(await readBlockDirect(path, slot), slot)
}

/** Writes, and reads back past every cache. */
export async function writeSlotBlock(path: string, slot: number, content: string): Promise<void> {
  assertSlot(slot)
  await writeBlockDirect(path, slot, encodeSlot(content))
  const readBack = await readSlotBlock(path, slot)
  if ((readBack ?? '') !== content) {
    throw new DialtoneError('storage-failed', `Slot ${slot} of ${path} does not hold what was just written into it`)
  }
}

/** One block; an empty string becomes the block that was never written. */
export function encodeSlot(content: string): Uint8Array {
  const block = Buffer.alloc(directBlockBytes)
  if (content === '') return block
  const bytes = Buffer.from(content, 'utf8')
  if (bytes.length > maximumSlotBytes) {
    throw new DialtoneError('invalid-input', `A slot holds ${maximumSlotBytes} bytes at most, not ${bytes.length}`)
  }
  block.write(magic, 0, 'latin1')
  block.writeUInt32BE(bytes.length, magic.length)
  block.writeUInt32BE(crc32(bytes), magic.length + 4)
  bytes.copy(block, headerBytes)
  return block
}

/** Undefined for a slot that was never written or was cleared; `storage-failed` for anything that isn't whole. */
export function decodeSlot(block: Buffer, slot: number): string | undefined {
  if (block.every((byte) => byte === 0) && (block.length === 0 || block.length === directBlockBytes)) return undefined
  const isFramed = block.length === directBlockBytes && block.toString('latin1', 0, magic.length) === magic
  const length = isFramed ? block.readUInt32BE(magic.length) : 0
  const content = block.subarray(headerBytes, headerBytes + length)
  const isWhole = length > 0 && length <= maximumSlotBytes && crc32(content) === block.readUInt32BE(magic.length + 4)
  if (!isWhole) throw new DialtoneError('storage-failed', `Slot ${slot} is torn: its block fails its checksum`)
  return content.toString('utf8')
}

function assertSlot(slot: number): void {
  if (!Number.isInteger(slot) || slot < 0 || slot > maximumSlot) {
    throw new DialtoneError('invalid-input', `A slot is a whole number from 0 to ${maximumSlot}, not ${slot}`)
  }
}
