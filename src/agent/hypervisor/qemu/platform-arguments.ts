/**
 * What of a command line is about how a machine boots and what its operating system knows: firmware, TPM, display, drives, clock. Pure. A
 * machine without a platform gets none of it, and what it had before there were platforms.
 */
import type { Accelerator } from '../../../model/hardware.ts'
import { cdromDrives } from '../../../model/iso.ts'
import type { MachinePlatform } from '../machine-platform.ts'
import { firmwareFiles } from './firmware-files.ts'
import { hex, pairs, properties } from './option-syntax.ts'

/** PCI slots on the root bus that no other machine uses. */
const slots = { display: 0x01, seed: 0x19, disks: 0x1a, usb: 0x1b }

/** The controller of the disks, where these are not virtio's; drives and seed are on the chipset's own. */
const disksController = 'sata'

export type PlatformArguments = {
  /** Properties of the machine that differ from those of one that is started with a kernel. */
  readonly machine: Readonly<Record<string, string>>
  /** Appended to the model of the processor. */
  readonly cpu: string
  readonly display: readonly string[]
  readonly rest: readonly string[]
}

export type PlatformFiles = { readonly vnc: string; readonly tpm: string }

export function platformArguments(
  platform: MachinePlatform | undefined,
  files: PlatformFiles,
  accelerator: Accelerator,
): PlatformArguments {
  if (platform === undefined) return { machine: {}, cpu: '', display: ['-display', 'none'], rest: [] }
  const { guest, variablesPath } = platform
  return {
    machine: {
      sata: 'on',
      // Without a graphics card the BIOS speaks on the serial line; without PS/2 many an installer hears no keyboard.
      ...(guest.display ? { graphics: 'on', i8042: 'on' } : {}),
      ...(variablesPath === undefined ? {} : { pflash0: 'firmware', pflash1: 'firmware-variables' }),
      ...(guest.secureBoot ? { smm: 'on' } : {}),
    },
    cpu: guest.hyperV && accelerator === 'kvm' ? hyperVFeatures : '',
    display: guest.display ? ['-vnc', `unix:${files.vnc}`] : ['-display', 'none'],
    rest: [
      ...['-boot', 'strict=on'],
      ...(variablesPath === undefined ? [] : firmware(platform, variablesPath)),
      ...(guest.clock === 'localtime' ? ['-rtc', 'base=localtime,driftfix=slew'] : []),
      ...(guest.display ? displayDevices : []),
      ...(platform.tpmDirectory === undefined ? [] : tpm(files.tpm)),
      ...(guest.devices === 'emulated' ? ['-device', `ich9-ahci,id=${disksController},addr=${hex(slots.disks)}`] : []),
      ...drives(platform),
    ],
  }
}

/** The disk's device, on the bus that its guest knows. The first one is booted from. */
export function diskPlace(
  platform: MachinePlatform | undefined,
  index: number,
  slot: number,
): Readonly<Record<string, string>> {
  const order: Record<string, string> = platform !== undefined && index === 0 ? { bootindex: '0' } : {}
  if (platform?.guest.devices !== 'emulated') return { addr: hex(slot), ...order }
  return { driver: 'ide-hd', bus: `${disksController}.${index}`, ...order }
}

export function cardModel(platform: MachinePlatform | undefined): string {
  return platform?.guest.devices === 'emulated' ? 'e1000e' : 'virtio-net-pci'
}

export function driveId(drive: number): string {
  return `drive${drive}`
}

/** The block node of a disc: its name changes with the disc, so that the next one can be opened before this one is closed. */
export function discNodes(name: string, path: string) {
  return {
    file: { driver: 'file', 'node-name': `${name}-file`, filename: path, 'read-only': true },
    format: { driver: 'raw', 'node-name': name, file: `${name}-file`, 'read-only': true },
  } as const
}

/** What Windows uses of Hyper-V's interface to be told the time and to wait without spinning. */
const hyperVFeatures = ',hv-relaxed,hv-vapic,hv-spinlocks=0x1fff,hv-vpindex,hv-synic,hv-stimer,hv-time'

const displayDevices = [
  ...['-device', `VGA,addr=${hex(slots.display)}`],
  ...['-device', `qemu-xhci,id=usb0,addr=${hex(slots.usb)}`],
  ...['-device', 'usb-kbd,bus=usb0.0', '-device', 'usb-tablet,bus=usb0.0'],
]

function firmware({ guest }: MachinePlatform, variablesPath: string): string[] {
  const code = discNodes('firmware', firmwareFiles(guest).code)
  const variables = {
    driver: 'file',
    'node-name': 'firmware-variables-file',
    filename: variablesPath,
    cache: { direct: true },
  }
  return [
    ...['-blockdev', pairs(code.file), '-blockdev', pairs(code.format)],
    ...['-blockdev', pairs(variables)],
    '-blockdev',
    pairs({
      driver: 'raw',
      'node-name': 'firmware-variables',
      file: 'firmware-variables-file',
      cache: { direct: true },
    }),
    // Only the firmware's own code, in system management mode, may change them: else whoever has the guest switches secure boot off.
    ...(guest.secureBoot
      ? ['-global', 'driver=cfi.pflash01,property=secure,value=on', '-global', 'ICH9-LPC.disable_s3=1']
      : []),
  ]
}

function tpm(socket: string): string[] {
  return [
    ...['-chardev', properties('socket', { id: 'tpm0', path: socket })],
    ...['-tpmdev', 'emulator,id=tpm0,chardev=tpm0', '-device', 'tpm-crb,tpmdev=tpm0'],
  ]
}

/** Drives are there with and without a disc: one is put in and taken out while the machine runs. */
function drives({ discs, seedPath, guest }: MachinePlatform): string[] {
  const all = Array.from({ length: cdromDrives }, (_, drive) => ({
    id: driveId(drive),
    path: discs[drive] ?? null,
    place: { bus: `ide.${drive}`, bootindex: `${drive + 1}` },
  }))
  const inDrives = all.flatMap(({ id, path, place }) =>
    path === null ? ['-device', properties('ide-cd', { id, ...place })] : disc(path, { id, driver: 'ide-cd', place }),
  )
  if (seedPath === undefined) return inDrives
  // The kernels of cloud images know no SATA.
  const seed =
    guest.devices === 'virtio'
      ? { id: 'seed', driver: 'virtio-blk-pci', place: { addr: hex(slots.seed) } }
      : { id: 'seed', driver: 'ide-cd', place: { bus: `ide.${cdromDrives}` } }
  return [...inDrives, ...disc(seedPath, seed)]
}

type DiscDevice = { readonly id: string; readonly driver: string; readonly place: Readonly<Record<string, string>> }

function disc(path: string, { id, driver, place }: DiscDevice): string[] {
  const { file, format } = discNodes(`${id}-0`, path)
  return [
    ...['-blockdev', pairs(file), '-blockdev', pairs(format)],
    ...['-device', properties(driver, { id, drive: `${id}-0`, ...place })],
  ]
}
