/** The kernel as QEMU starts it quickest: unpacked at the build, so that no machine does it at every start. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile, writeFile } from 'node:fs/promises'
import { DialtoneError } from '../../src/model/dialtone-error.ts'

const xzMagic = 'fd377a585a00'
const elfMagic = '7f454c46'
/** Places in the boot header, see the kernel's Documentation/x86/boot.rst. */
const header = { setupSectors: 0x1f1, magic: 0x202, payloadOffset: 0x248, payloadLength: 0x24c } as const

/** Unpacks the ELF file inside Debian's vmlinuz (XZ). Needs the program xz. */
export async function unpackKernel(vmlinuz: string, vmlinux: string): Promise<void> {
  const image = await readFile(vmlinuz)
  if (image.toString('latin1', header.magic, header.magic + 4) !== 'HdrS') throw notAKernel(vmlinuz)
  const start = (image.readUInt8(header.setupSectors) + 1) * 512 + image.readUInt32LE(header.payloadOffset)
  const payload = image.subarray(start, start + image.readUInt32LE(header.payloadLength))
  if (payload.toString('hex', 0, 6) !== xzMagic) throw notAKernel(vmlinuz)
  const packed = `${vmlinux}.xz`
  await writeFile(packed, payload)
  await using output = await open(vmlinux, 'w')
  // The payload ends with its unpacked size, which is no part of the stream.
  const xz = spawn('xz', ['-dc', '--single-stream', packed], { stdio: ['ignore', output.fd, 'ignore'] })
  const ending: unknown[] = await once(xz, 'close')
  if (ending[0] !== 0) throw notAKernel(vmlinuz)
  await using result = await open(vmlinux, 'r')
  const { buffer } = await result.read(Buffer.alloc(4), 0, 4, 0)
  if (buffer.toString('hex') !== elfMagic) throw notAKernel(vmlinuz)
}

function notAKernel(path: string): DialtoneError {
  return new DialtoneError('image-corrupt', `${path} is not an XZ-packed Linux kernel for x86`)
}
