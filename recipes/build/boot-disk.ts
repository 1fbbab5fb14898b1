/**
 * A disk that boots by BIOS and by UEFI, out of a root file system: GPT with a partition each for GRUB's BIOS image, for UEFI and for the
 * root. No loop device, no mount and no rights of root: the file system is written straight into the image.
 */
import { open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../src/linux/run-command.ts'
import type { DiskRecipe } from './disk-recipe.ts'

const timeoutMs = 600_000
const sectorBytes = 512
const sectorsPerMiB = 2048
const grubFolder = '/usr/lib/grub'

/** In MiB from the beginning of the disk. */
const biosPartition = { startMiB: 1, sizeMiB: 1 }
const systemStartMiB = 2

const biosModules = [
  'biosdisk',
  'part_gpt',
  'ext2',
  'search',
  'search_fs_uuid',
  'search_label',
  'normal',
  'configfile',
  'linux',
  'echo',
  'test',
  'ls',
  'serial',
  'terminal',
  'boot',
  'minicmd',
  'reboot',
  'sleep',
  'gzio',
]
const uefiModules = [
  'part_gpt',
  'ext2',
  'fat',
  'search',
  'search_fs_uuid',
  'search_label',
  'normal',
  'configfile',
  'linux',
  'echo',
  'test',
  'ls',
  'serial',
  'terminal',
  'boot',
  'all_video',
  'minicmd',
  'reboot',
  'sleep',
  'gzio',
  'efi_gop',
]

export type BootDisk = {
  readonly disk: DiskRecipe['disk']
  /** Of the root file system. */
  readonly uuid: string
  readonly archive: string
  /** A folder for what is only needed meanwhile. */
  readonly scratch: string
}

/** Writes the disk as qcow2, packed. */
export async function makeBootDisk({ disk, uuid, archive, scratch }: BootDisk, output: string): Promise<void> {
  const raw = join(scratch, 'disk.raw')
  const rootStartMiB = systemStartMiB + disk.systemPartitionMiB
  // The last MiB holds the copy of the partition table.
  const rootSizeMiB = disk.sizeMiB - rootStartMiB - 1
  await writeFile(raw, '')
  await truncate(raw, disk.sizeMiB * sectorsPerMiB * sectorBytes)
  await partition(raw, { disk, rootStartMiB, rootSizeMiB })
  await writeRoot({ raw, archive, scratch, uuid, label: disk.label, startMiB: rootStartMiB, sizeMiB: rootSizeMiB })
  const early = join(scratch, 'early.cfg')
  await writeFile(early, `search.fs_uuid ${uuid} root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n`)
  await writeSystemPartition(raw, { early, scratch, sizeMiB: disk.systemPartitionMiB })
  await writeBiosLoader(raw, { early, scratch })
  await run('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', '-c', '-o', 'compression_type=zstd', raw, output])
  await rm(raw)
}

async function partition(
  raw: string,
  {
    disk,
    rootStartMiB,
    rootSizeMiB,
  }: { readonly disk: DiskRecipe['disk']; readonly rootStartMiB: number; readonly rootSizeMiB: number },
): Promise<void> {
  const line = (number: number, place: { readonly startMiB: number; readonly sizeMiB: number }, type: string) =>
    `${number}: start=${place.startMiB * sectorsPerMiB}, size=${place.sizeMiB * sectorsPerMiB}, type=${type}`
  const table = [
    'label: gpt',
    line(14, biosPartition, '21686148-6449-6E6F-744E-656564454649'),
    line(15, { startMiB: systemStartMiB, sizeMiB: disk.systemPartitionMiB }, 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B'),
    // The first by number and the last on the disk, so that it can grow.
    line(1, { startMiB: rootStartMiB, sizeMiB: rootSizeMiB }, '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709'),
  ]
  await runCommand('sfdisk', ['--quiet', raw], { timeoutMs, input: `${table.join('\n')}\n` })
}

type RootPlace = {
  readonly raw: string
  readonly archive: string
  readonly scratch: string
  readonly uuid: string
  readonly label: string
  readonly startMiB: number
  readonly sizeMiB: number
}

/** In a user namespace unless it is root that builds: else all files would be the builder's. */
async function writeRoot({ raw, archive, scratch, uuid, label, startMiB, sizeMiB }: RootPlace): Promise<void> {
  const root = join(scratch, 'root')
  const script = `set -e
mkdir "$1"
tar -C "$1" --numeric-owner --exclude='./dev/*' -xpf "$2"
mke2fs -q -F -t ext4 -L "$3" -U "$4" -m 1 -O ^metadata_csum_seed,^orphan_file -d "$1" -E "offset=$5,lazy_itable_init=1" "$6" "$7k"
rm -rf "$1"`
  const offset = String(startMiB * sectorsPerMiB * sectorBytes)
  const command = ['/bin/sh', '-c', script, 'sh', root, archive, label, uuid, offset, raw, String(sizeMiB * 1024)]
  const isRoot = process.getuid?.() === 0
  const [program = '/bin/sh', ...args] = isRoot ? command : ['unshare', '--map-auto', '--map-root-user', ...command]
  await run(program, args)
}

async function writeSystemPartition(
  raw: string,
  { early, scratch, sizeMiB }: { readonly early: string; readonly scratch: string; readonly sizeMiB: number },
): Promise<void> {
  const partitionFile = join(scratch, 'system.img')
  const loader = join(scratch, 'bootx64.efi')
  await run('grub-mkimage', ['-O', 'x86_64-efi', '-c', early, '-p', '/boot/grub', '-o', loader, ...uefiModules])
  await run('mkfs.vfat', ['--invariant', '-n', 'ESP', '-C', partitionFile, String(sizeMiB * 1024)])
  await run('mmd', ['-i', partitionFile, '::/EFI', '::/EFI/BOOT'])
  await run('mcopy', ['-i', partitionFile, loader, '::/EFI/BOOT/BOOTX64.EFI'])
  await writeInto(raw, systemStartMiB * sectorsPerMiB * sectorBytes, await readFile(partitionFile))
}

/**
 * What `grub-bios-setup` does on a mounted disk, as two numbers: where the boot sector finds the image, and where the image finds the rest of
 * itself. The check of the drive's number is left out, as that program leaves it out.
 */
async function writeBiosLoader(
  raw: string,
  { early, scratch }: { readonly early: string; readonly scratch: string },
): Promise<void> {
  const image = join(scratch, 'core.img')
  await run('grub-mkimage', ['-O', 'i386-pc', '-c', early, '-p', '/boot/grub', '-o', image, ...biosModules])
  const core = await readFile(image)
  const sector = BigInt(biosPartition.startMiB * sectorsPerMiB)
  core.writeBigUInt64LE(sector + 1n, 0x1f4)
  const boot = (await readFile(join(grubFolder, 'i386-pc', 'boot.img'))).subarray(0, 440)
  boot.writeBigUInt64LE(sector, 0x5c)
  boot.writeUInt16LE(0x9090, 0x66)
  await writeInto(raw, 0, boot)
  await writeInto(raw, biosPartition.startMiB * sectorsPerMiB * sectorBytes, core)
}

async function writeInto(path: string, offset: number, content: Buffer): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(content, 0, content.length, offset)
}

async function run(program: string, args: readonly string[]): Promise<void> {
  await runCommand(program, args, { timeoutMs })
}
