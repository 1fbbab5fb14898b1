/**
 * One block of a file, read and written past the page cache (O_DIRECT, O_DSYNC). Slots of the pill use it: a page of another
 * moment's cache must never stand in for what is on the storage.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { DialtoneError } from '../model/dialtone-error.ts'

// The part of the platform's WebAssembly that is used here; the compiler's library has it only together with the browser's.
declare const WebAssembly: {
  readonly Memory: new (descriptor: { initial: number }) => { readonly buffer: ArrayBuffer }
}

/** O_DIRECT wants whole, aligned blocks: 4096 suits every sector size in use. */
export const directBlockBytes = 4096

export async function readBlockDirect(path: string, blockIndex: number): Promise<Buffer> {
  const block = alignedBlock()
  const file = await open(path, constants.O_RDONLY | constants.O_DIRECT).catch(storageFailure(path))
  try {
    const { bytesRead } = await file.read(block, 0, directBlockBytes, blockIndex * directBlockBytes)
    return Buffer.from(block.subarray(0, bytesRead))
  } catch (error) {
    return storageFailure(path)(error)
  } finally {
    await file.close()
  }
}

/** Durable on the storage when it returns. `content` is padded with zeros. */
export async function writeBlockDirect(path: string, blockIndex: number, content: Uint8Array): Promise<void> {
  const block = alignedBlock()
  block.fill(0)
  block.set(content.subarray(0, directBlockBytes))
  const file = await open(
    path,
    constants.O_RDWR | constants.O_DIRECT | constants.O_DSYNC | constants.O_CREAT,
    0o600,
  ).catch(storageFailure(path))
  try {
    await file.write(block, 0, directBlockBytes, blockIndex * directBlockBytes)
  } catch (error) {
    storageFailure(path)(error)
  } finally {
    await file.close()
  }
}

/** WebAssembly memory begins on a page boundary, which O_DIRECT asks for and a Buffer doesn't promise. */
function alignedBlock(): Uint8Array {
  return new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer, 0, directBlockBytes)
}

function storageFailure(path: string): (error: unknown) => never {
  return (error) => {
    throw new DialtoneError('storage-failed', `${path} cannot be read or written past the page cache`, { cause: error })
  }
}
