/** What the hypervisor is told of a machine's hardware: the same for its boot, for the spare that waits and for the image that is baked. */
import { join } from 'node:path'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { hasStateBesideDisk, refuseMemoryImages } from '../../model/guest.ts'
import type { VolumeId } from '../../model/ids.ts'
import type { MachineDisk, MachineLife, MachineOrder } from '../../model/machine-order.ts'
import { attachedDisks, disksToBeginWith, presentOf } from '../../model/present-shape.ts'
import type { AttachedDisk, MachineShape } from '../hypervisor/hypervisor.ts'
import type { MachinePlatform } from '../hypervisor/machine-platform.ts'
import { furtherCards } from '../machines/machine-cards.ts'
import type { MachinePorts } from '../machines/machine-ports.ts'
import type { GuestStateFiles } from '../storage/storage.ts'

/** First user id of machines' processes; the machine's number is added. */
const firstUserId = 200_000

export type ShapePlace = {
  readonly disks: readonly AttachedDisk[]
  readonly plugged?: readonly AttachedDisk[]
  readonly tapName: string
  readonly runDirectory: string
  readonly cgroupDirectory: string
  readonly generationId: string
  /** What its firmware and TPM remember; only a machine that has claimed its root volume has it, no process that waits. */
  readonly guestState?: GuestStateFiles | undefined
  /** For the placeholders of the kernel's command line. */
  readonly life: Pick<MachineLife, 'epoch' | 'incarnation'>
}

export async function shapeOf(
  machine: MachineOrder,
  place: ShapePlace,
  ports: Pick<MachinePorts, 'bootFiles' | 'hostName' | 'discPath' | 'makeSeed'>,
): Promise<MachineShape> {
  const present = presentOf(machine)
  return {
    vmId: machine.vmId,
    name: machine.name,
    hardware: machine.hardware,
    cpus: present.cpus,
    memoryMiB: present.memoryMiB,
    growth: present.growth,
    macAddress: machine.nic.macAddress,
    mtu: machine.nic.mtu,
    tapName: place.tapName,
    moreCards: furtherCards(machine, place.tapName),
    disks: place.disks,
    ...(place.plugged === undefined ? {} : { plugged: place.plugged }),
    ...(machine.guest.boot === 'kernel'
      ? { kernel: await kernelOf(machine, place, ports) }
      : { platform: await platformOf(machine, place, ports) }),
    generationId: place.generationId,
    userId: userIdOf(machine),
    runDirectory: place.runDirectory,
    cgroupDirectory: place.cgroupDirectory,
  }
}

export function userIdOf({ number }: MachineOrder): number {
  return userIdOfNumber(number)
}

export function userIdOfNumber(number: number): number {
  return firstUserId + number
}

/**
 * The disks that are part of a machine's images: those that it has, or is to have, but for the data volumes of one that recovers warm. What
 * its process began with and is to be taken out of it at its next start is still one of them.
 */
export function bootDisksOf(machine: MachineOrder): MachineOrder['disks'] {
  const toBegin = disksToBeginWith(machine)
  if (machine.recovery.mode === 'warm') return toBegin
  const kept = machine.present?.volumeIds ?? []
  return machine.disks.filter((disk) => toBegin.includes(disk) || kept.includes(disk.volumeId))
}

/** Those disks as the hypervisor opens them, checked and given to the machine's user. */
export async function openBootDisks(
  machine: MachineOrder,
  ports: Pick<MachinePorts, 'storage'>,
): Promise<AttachedDisk[]> {
  const disks: AttachedDisk[] = []
  for (const disk of bootDisksOf(machine)) disks.push(await openDisk(machine, disk, ports))
  return disks
}

export async function openDisk(
  machine: MachineOrder,
  disk: MachineDisk,
  ports: Pick<MachinePorts, 'storage'>,
): Promise<AttachedDisk> {
  const { path } = await ports.storage(disk.storageId).openVolume(disk.volumeId, disk.format, userIdOf(machine))
  return { volumeId: disk.volumeId, path, format: disk.format }
}

/** The disks that are plugged in once the machine serves. */
export function dataDisksOf(machine: MachineOrder): MachineOrder['disks'] {
  if (machine.recovery.mode !== 'warm') return []
  const kept = bootDisksOf(machine)
  return attachedDisks(machine).filter((disk) => !kept.includes(disk))
}

export function diskOf(machine: MachineOrder, volumeId: VolumeId): MachineOrder['disks'][number] | undefined {
  return machine.disks.find((disk) => disk.volumeId === volumeId)
}

/** What its firmware and TPM remember, beside its root disk. */
export async function openGuestState(
  machine: MachineOrder,
  ports: Pick<MachinePorts, 'storage' | 'hypervisor'>,
): Promise<GuestStateFiles | undefined> {
  const { boot, tpm: hasTpm } = machine.guest
  const [root] = machine.disks
  if (root === undefined || !hasStateBesideDisk(machine.guest)) return undefined
  const variables = boot === 'uefi' ? ports.hypervisor.initialVariables(machine.guest) : null
  const request = { variables, hasTpm, userId: userIdOf(machine) }
  return ports.storage(root.storageId).openGuestState(root.volumeId, request)
}

async function kernelOf(
  machine: MachineOrder,
  place: ShapePlace,
  ports: Pick<MachinePorts, 'bootFiles' | 'hostName'>,
): Promise<MachineShape['kernel']> {
  const { vmlinux, initrd, commandLine: base } = await ports.bootFiles(machine)
  return { vmlinux, initrd, commandLine: commandLineOf(machine, place.life, { base, hostName: ports.hostName }) }
}

async function platformOf(
  machine: MachineOrder,
  place: ShapePlace,
  ports: Pick<MachinePorts, 'discPath' | 'makeSeed'>,
): Promise<MachinePlatform> {
  const { guest, cdroms, cloudInit } = machine
  const unfit = refuseMemoryImages(guest)
  if (unfit !== undefined && place.guestState === undefined)
    throw new DialtoneError('image-unfit', `${machine.name} can't be resumed from memory: ${unfit}`)
  const discs: (string | null)[] = []
  for (const isoId of cdroms) discs.push(isoId === null ? null : await ports.discPath(isoId))
  const seedPath = cloudInit === null ? undefined : join(place.runDirectory, 'seed.iso')
  if (seedPath !== undefined) await ports.makeSeed(machine, seedPath)
  const { variablesPath, tpmDirectory } = place.guestState ?? { variablesPath: null, tpmDirectory: null }
  return {
    guest,
    discs,
    seedPath,
    variablesPath: variablesPath ?? undefined,
    tpmDirectory: tpmDirectory ?? undefined,
  }
}

function commandLineOf(
  machine: MachineOrder,
  life: ShapePlace['life'],
  from: { readonly base: string; readonly hostName: string },
): string {
  const extra = machine.extraCommandLine
    .replaceAll('{host}', from.hostName)
    .replaceAll('{epoch}', String(life.epoch))
    .replaceAll('{incarnation}', String(life.incarnation))
  return `${from.base} dialtone.name=${machine.name} ${extra}`.trim()
}

export function rootOf(machine: MachineOrder): MachineDisk {
  const [root] = machine.disks
  if (root === undefined) throw new DialtoneError('internal', `${machine.name} has no root disk`)
  return root
}

/** What it has from its first instruction on, and what it had got while it ran, with its ports. */
export function splitPlugged(
  disks: readonly AttachedDisk[],
  plugged: readonly string[],
  ports: readonly number[] = [],
): { readonly disks: readonly AttachedDisk[]; readonly plugged: readonly AttachedDisk[] } {
  const withPort = (disk: AttachedDisk, index: number): AttachedDisk => ({ ...disk, port: ports[index] ?? index })
  return {
    disks: disks.filter(({ volumeId }) => !plugged.includes(volumeId)),
    plugged: plugged.flatMap((each, index) =>
      disks.filter(({ volumeId }) => volumeId === each).map((disk) => withPort(disk, index)),
    ),
  }
}
