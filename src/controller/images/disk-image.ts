/**
 * Foreign disk images. Nothing in one is believed: a qcow2 that names other files (a backing file, an external data file) would have them
 * read with the controller's rights, so its header is read here before any program opens it, and what is kept is a copy in which nothing of
 * its structure survives.
 */
import { open } from 'node:fs/promises'
import { z } from 'zod'
import { readQcow2Header } from '../../linux/qcow2-header.ts'
import { runCommand } from '../../linux/run-command.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'

export type DiskFacts = { readonly format: 'qcow2' | 'raw'; readonly virtualMiB: number }

const maximumVirtualMiB = 67_108_864
const inspectTimeoutMs = 60_000
/** A header may be made to let its reader take memory without end. */
const inspectLimits = ['--as=2147483648', '--cpu=30']

/** First bytes of images of others. */
const foreign: readonly { readonly name: string; readonly at: number; readonly bytes: string }[] = [
  { name: 'vmdk', at: 0, bytes: 'KDMV' },
  { name: 'vmdk', at: 0, bytes: '# Disk DescriptorFile' },
  { name: 'vhdx', at: 0, bytes: 'vhdxfile' },
  { name: 'vpc', at: 0, bytes: 'conectix' },
  { name: 'vdi', at: 0, bytes: '<<< ' },
  { name: 'qed', at: 0, bytes: 'QED\0' },
]
const packed: readonly { readonly name: string; readonly bytes: readonly number[] }[] = [
  { name: 'xz', bytes: [0xfd, 0x37, 0x7a] },
  { name: 'gzip', bytes: [0x1f, 0x8b] },
  { name: 'zstd', bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: 'zip', bytes: [0x50, 0x4b, 0x03, 0x04] },
]

/** Throws `invalid-input` for what is no disk that can be taken, with what to do about it. */
export async function inspectDisk(path: string, what: string): Promise<DiskFacts> {
  const refuse = (why: string) => new DialtoneError('invalid-input', `${what} is not taken: ${why}`)
  await using file = await open(path, 'r')
  const { size } = await file.stat()
  const head = Buffer.alloc(512)
  await file.read(head, 0, head.length, 0)
  const other = foreign.find(({ at, bytes }) => head.toString('latin1', at, at + bytes.length) === bytes)
  if (other !== undefined)
    throw refuse(`it is ${other.name}: convert it first, with qemu-img convert -f ${other.name} -O qcow2`)
  const pack = packed.find(({ bytes }) => bytes.every((byte, index) => head[index] === byte))
  if (pack !== undefined) throw refuse(`it is packed (${pack.name}): unpack it first`)
  const facts =
    head.toString('latin1', 0, 4) === 'QFI\u00fb' ? await inspectQcow2(path, refuse) : inspectRaw(head, size, refuse)
  if (facts.virtualMiB > maximumVirtualMiB) throw refuse(`a disk has at most ${maximumVirtualMiB} MiB`)
  return facts
}

/** The same content as a qcow2 that stands alone. Sparse where it is empty. */
export async function convertDisk(
  from: { readonly path: string; readonly format: DiskFacts['format'] },
  to: string,
  signal: AbortSignal,
): Promise<void> {
  await runCommand('qemu-img', ['convert', '-q', '-f', from.format, '-O', 'qcow2', from.path, to], {
    timeoutMs: 6 * 3_600_000,
    errorCode: 'image-corrupt',
    signal,
  })
}

const infoSchema = z.object({
  format: z.literal('qcow2'),
  'virtual-size': z.number(),
  encrypted: z.boolean().optional(),
})

async function inspectQcow2(path: string, refuse: (why: string) => DialtoneError): Promise<DiskFacts> {
  await using file = await open(path, 'r')
  const { backingFile } = await readQcow2Header(file, 'the image').catch((error: unknown) => {
    throw refuse(error instanceof Error ? error.message : String(error))
  })
  if (backingFile !== undefined)
    throw refuse(
      `it lies on another file (${JSON.stringify(backingFile.slice(0, 80))}): flatten it first, with qemu-img convert`,
    )
  const words = await runCommand(
    'prlimit',
    [...inspectLimits, 'qemu-img', 'info', '-f', 'qcow2', '--output=json', path],
    {
      timeoutMs: inspectTimeoutMs,
    },
  ).catch((error: unknown) => {
    throw refuse(`qemu-img can't read it: ${error instanceof Error ? error.message.slice(-200) : String(error)}`)
  })
  const info = infoSchema.parse(JSON.parse(words))
  if (info.encrypted === true) throw refuse('it is encrypted')
  return { format: 'qcow2', virtualMiB: Math.ceil(info['virtual-size'] / 2 ** 20) }
}

/** A disk without any format has a boot sector, or it is none that could boot. */
function inspectRaw(head: Buffer, size: number, refuse: (why: string) => DialtoneError): DiskFacts {
  if (size === 0 || size % 512 !== 0)
    throw refuse('it is neither qcow2 nor a raw disk, which has whole sectors of 512 bytes')
  if (head.readUInt16LE(510) !== 0xaa55) throw refuse('it is neither qcow2 nor a raw disk with a boot sector')
  return { format: 'raw', virtualMiB: Math.ceil(size / 2 ** 20) }
}
