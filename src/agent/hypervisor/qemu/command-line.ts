/**
 * The command line of QEMU for a machine. Pure; golden files (`golden/`) show it whole. What is in it is hardware that the guest sees:
 * an address or a property that changes here changes machines that exist, so such a change belongs to a new machine type only.
 */
import { createHash } from 'node:crypto'
import { type Growth, roomBeside } from '../../../model/growth.ts'
import { needsEvenMemory } from '../../../model/guest.ts'
import { guestMemoryKiB } from '../../../model/hardware.ts'
import type { AttachedDisk, MachineShape } from '../hypervisor.ts'
import { diskDevice, nodeOptions } from './block-nodes.ts'
import { escapeValue, hex, pairs, properties } from './option-syntax.ts'
import { cardModel, diskPlace, type PlatformArguments, platformArguments } from './platform-arguments.ts'
import { runFiles } from './run-files.ts'

export type CommandLineOptions = {
  /** QEMU's own lock on each image. Only tests of the protection switch it off. */
  readonly fileLocking: boolean
  /** The file that is the guest's memory, mapped to write into the file or copy-on-write; anonymous memory without it. */
  readonly memory?: { readonly path: string; readonly isWritten: boolean }
  /** Waits for a stream to load instead of beginning at the reset vector. */
  readonly isIncoming?: boolean
}

/**
 * Room for translated code under TCG, resident once it is used. Against 64 and more, 32 MiB save 35 MiB of
 * each machine for 5 % more CPU time in the boot of the tiny guest; 16 MiB save another 20 for another 10 %.
 */
const translationBufferMiB = 32

/** Devices that no guest of ours needs; each costs time at every boot. The power button (ACPI) works without them. */
const trimmedAway = ['smbus', 'sata', 'usb', 'vmport', 'i8042', 'hpet', 'graphics']

/** PCI slots on the root bus. Written out, so that a device more or less never moves another one. */
const slots = {
  nic: 0x02,
  serial: 0x03,
  random: 0x04,
  panic: 0x05,
  hotplug: 0x06,
  firstDisk: 0x07,
  moreNics: 0x11,
  watchdog: 0x1c,
  balloon: 0x1d,
  memory: 0x1e,
}

/** The network card's, for orders to it. */
export const cardId = 'nic0'

/** The guest finds its resident agent's port by this name. */
const residentPortName = 'org.dialtone.resident.0'

/** Orders to what a machine that can grow has for it. */
export const memoryDeviceId = 'memory0'
export const balloonId = 'balloon0'
const growthMemory = 'growth'

/** More find nobody who would fill them. */
const kvmDiskQueues = 4

/** Ports on which disks and cards can be plugged in while the machine runs. Each costs 50 ms of a boot under TCG. */
export const hotplugPorts = 4

/** Arguments for the QEMU binary, without the binary. The machine starts paused. */
export function buildCommandLine(shape: MachineShape, options: CommandLineOptions): string[] {
  const { userId, runDirectory } = shape
  const files = runFiles(runDirectory)
  const platform = platformArguments(shape.platform, files, shape.hardware.accelerator)
  return [
    ...[
      '-name',
      properties(`guest=${escapeValue(shape.name)}`, { process: `vm-${shape.name}`, 'debug-threads': 'on' }),
    ],
    ...['-S', '-no-user-config', '-nodefaults', ...platform.display, '-msg', 'timestamp=on'],
    // The seccomp filter also sets no_new_privs. `elevateprivileges` is left out: it forbids the very setuid that -runas does.
    ...['-sandbox', 'on,obsolete=deny,spawn=deny,resourcecontrol=deny', '-runas', `${userId}:${userId}`],
    // Locked by the kernel as long as the process lives: of two starts in one directory the second ends itself.
    ...['-pidfile', files.pid],
    ...machine(shape, options, platform),
    ...(options.isIncoming === true ? ['-incoming', 'defer'] : []),
    ...['-uuid', machineUuid(shape.vmId), '-device', `vmgenid,guid=${shape.generationId}`],
    ...boot(shape),
    ...platform.rest,
    ...monitor('qmp0', files.qmp[0]),
    ...monitor('qmp1', files.qmp[1]),
    ...console(files.console, files.consoleLog),
    ...cards(shape),
    ...growthDevices(shape),
    ...guestPorts(files.guestAgent, files.resident),
    ...['-object', 'rng-builtin,id=random0', '-device', `virtio-rng-pci,rng=random0,addr=${hex(slots.random)}`],
    ...['-device', `pvpanic-pci,addr=${hex(slots.panic)}`],
    ...hotplug(),
    ...shape.disks.flatMap((disk, index) =>
      diskArguments(disk, diskPlace(shape.platform, index, slots.firstDisk + index), options),
    ),
    ...['-device', `i6300esb,id=watchdog0,addr=${hex(slots.watchdog)}`],
    // A panic or a hang is told and the machine stands still for a look at it; a power-off of the guest ends the process.
    ...['-action', 'reboot=reset,shutdown=poweroff,panic=pause,watchdog=pause'],
  ]
}

/** The identity that the guest reads from its firmware: the same for all lives of a VM. A name-based UUID (version 8) of the VM's id. */
export function machineUuid(vmId: string): string {
  const digest = createHash('sha256').update(`dialtone:${vmId}`).digest()
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x80
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80
  return digest.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function machine(
  { hardware, cpus, memoryMiB, growth = null, platform: from }: MachineShape,
  { memory }: CommandLineOptions,
  platform: PlatformArguments,
): string[] {
  const size = `${guestMemoryKiB(memoryMiB, hardware.accelerator, needsEvenMemory(from?.guest))}K`
  const trimmed = { ...Object.fromEntries(trimmedAway.map((device) => [device, 'off'])), ...platform.machine }
  const block = { id: 'pc.ram', size }
  const backend =
    memory === undefined
      ? properties('memory-backend-ram', block)
      : properties('memory-backend-file', { ...block, 'mem-path': memory.path, share: memory.isWritten ? 'on' : 'off' })
  const accelerator = hardware.accelerator === 'kvm' ? 'kvm' : `tcg,thread=multi,tb-size=${translationBufferMiB}`
  return [
    // Named memory: snapshots, migration streams and warm images fit each other only when the block has the same name everywhere.
    ...[
      '-machine',
      properties(hardware.machineType, { ...trimmed, 'dump-guest-core': 'off', 'memory-backend': 'pc.ram' }),
    ],
    ...[
      '-accel',
      accelerator,
      '-cpu',
      `${hardware.cpuModel}${platform.cpu}`,
      '-smp',
      growth === null
        ? `cpus=${cpus},sockets=1,cores=${cpus},threads=1`
        : `cpus=${cpus},maxcpus=${growth.maximumCpus},sockets=1,cores=${growth.maximumCpus},threads=1`,
    ],
    ...['-m', `size=${size}${maximumOf(memoryMiB, growth)}`, '-object', backend],
  ]
}

/** A region for all that may come, which starts on a GiB of its own. */
function maximumOf(memoryMiB: number, growth: Growth | null): string {
  const roomMiB = growth === null ? 0 : roomBeside(memoryMiB, growth)
  return roomMiB === 0 ? '' : `,maxmem=${memoryMiB + roomMiB + 1024}M`
}

/**
 * What lets it grow: memory that its guest takes block by block (virtio-mem), of which nothing is there at first, and a balloon for what it
 * began with. The number of queues of a disk would follow the number of processors, which has to be free to change.
 */
function growthDevices({ memoryMiB, growth = null, hardware }: MachineShape): string[] {
  if (growth === null) return []
  const roomMiB = roomBeside(memoryMiB, growth)
  const queues = hardware.accelerator === 'kvm' ? Math.min(kvmDiskQueues, growth.maximumCpus) : 1
  const memory = [
    ...['-object', properties('memory-backend-ram', { id: growthMemory, size: `${roomMiB}M`, reserve: 'off' })],
    '-device',
    properties('virtio-mem-pci', {
      id: memoryDeviceId,
      memdev: growthMemory,
      'requested-size': '0',
      addr: hex(slots.memory),
    }),
  ]
  return [
    ...['-global', `driver=virtio-blk-pci,property=num-queues,value=${queues}`],
    ...(roomMiB === 0 ? [] : memory),
    ...['-device', properties('virtio-balloon-pci', { id: balloonId, addr: hex(slots.balloon) })],
  ]
}

function boot({ kernel }: MachineShape): string[] {
  if (kernel === undefined) return []
  return ['-kernel', kernel.vmlinux, '-initrd', kernel.initrd, '-append', kernel.commandLine]
}

function monitor(id: string, path: string): string[] {
  return ['-chardev', listening(id, path), '-mon', `chardev=${id},mode=control`]
}

function console(path: string, logPath: string): string[] {
  const chardev = properties(listening('console0', path), { logfile: logPath, logappend: 'on' })
  return ['-chardev', chardev, '-serial', 'chardev:console0']
}

function cards({ tapName, macAddress, mtu = null, moreCards = [], platform }: MachineShape): string[] {
  const model = cardModel(platform)
  const first = card(cardId, 'net0', { tapName, macAddress, mtu, model, slot: slots.nic })
  const more = moreCards
    .filter(({ port }) => port === undefined)
    .map(({ number, ...one }) =>
      card(furtherCardId(number), netdevId(number), { ...one, model, slot: slots.moreNics + number }),
    )
  return [first, ...more].flat()
}

export function furtherCardId(number: number): string {
  return `nic${number}`
}

export function netdevId(number: number): string {
  return `net${number}`
}

type CardPlace = {
  readonly tapName: string
  readonly macAddress: string
  readonly mtu: number | null
  readonly model: string
  readonly slot: number
}

function card(id: string, netdev: string, { tapName, macAddress, mtu, model, slot }: CardPlace): string[] {
  // Only virtio's card can tell its guest; others hear it by DHCP.
  const isTold = mtu !== null && model === 'virtio-net-pci'
  const size: Readonly<Record<string, string>> = isTold ? { host_mtu: `${mtu}` } : {}
  return [
    ...['-netdev', properties('tap', { id: netdev, ifname: tapName, script: 'no', downscript: 'no', vhost: 'off' })],
    '-device',
    properties(model, { id, netdev, mac: macAddress, romfile: '', ...size, addr: hex(slot) }),
  ]
}

function guestPorts(guestAgentPath: string, residentPath: string): string[] {
  return [
    ...['-device', `virtio-serial-pci,id=serial0,addr=${hex(slots.serial)}`],
    ...['-chardev', listening('agent0', guestAgentPath), '-device', guestPort(1, 'agent0', 'org.qemu.guest_agent.0')],
    ...['-chardev', listening('resident0', residentPath), '-device', guestPort(2, 'resident0', residentPortName)],
  ]
}

function guestPort(number: number, chardev: string, name: string): string {
  return properties('virtserialport', { bus: 'serial0.0', nr: `${number}`, chardev, name })
}

function hotplug(): string[] {
  return Array.from({ length: hotplugPorts }, (_, index) => [
    '-device',
    properties('pcie-root-port', {
      id: `port${index}`,
      chassis: `${index + 1}`,
      addr: `${hex(slots.hotplug)}.${hex(index)}`,
      ...(index === 0 ? { multifunction: 'on' } : {}),
    }),
  ]).flat()
}

function diskArguments(
  disk: AttachedDisk,
  place: Readonly<Record<string, string>>,
  options: CommandLineOptions,
): string[] {
  const { file, format } = nodeOptions(disk.volumeId, disk, options.fileLocking)
  const { driver, ...device } = { ...diskDevice(disk.volumeId), ...place }
  return [...['-blockdev', pairs(file), '-blockdev', pairs(format)], ...['-device', properties(driver, device)]]
}

function listening(id: string, path: string): string {
  return properties('socket', { id, path, server: 'on', wait: 'off' })
}
