/** What the process of a machine is, where its order has changed since it began. Pure. */
import type { MachineDisk, MachineOrder, PresentShape } from './machine-order.ts'
import type { MemoryImageManifest } from './recovery/memory-image.ts'

/** The disks that it is to have, without those that were taken out of it. */
export function attachedDisks({ disks }: Pick<MachineOrder, 'disks'>): MachineDisk[] {
  return disks.filter(({ isDetached }) => isDetached !== true)
}

/**
 * The disks that a machine has from its first instruction on. One that recovers warm gets its data volumes only when it serves: they are
 * never part of an image.
 */
export function disksToBeginWith(machine: Pick<MachineOrder, 'disks' | 'recovery'>): MachineDisk[] {
  return machine.recovery.mode === 'warm' ? machine.disks.slice(0, 1) : attachedDisks(machine)
}

/** What a process has that was started by this order, or goes on under it. */
export function presentOf(machine: MachineOrder): PresentShape {
  if (machine.present !== null) return machine.present
  const { cpus, memoryMiB, growth, moreNics } = machine
  const cards = moreNics.filter(({ isDetached }) => isDetached !== true)
  return {
    cpus,
    memoryMiB,
    growth,
    volumeIds: disksToBeginWith(machine).map(({ volumeId }) => volumeId),
    cards: cards.map(({ number }) => ({ number, port: null })),
  }
}

/** What a process has that goes on from this image. */
export function presentOfImage(image: MemoryImageManifest, machine: MachineOrder): PresentShape {
  const { cpus, memoryMiB, disks, plugged } = image
  const own = disks.map(({ volumeId }) => volumeId).filter((volumeId) => !plugged.includes(volumeId))
  const { cards, volumeIds } = presentOf({ ...machine, present: null })
  const present = image.present ?? { cpus, memoryMiB, growth: null, cards }
  // Another machine's memory goes on with disks of this one.
  return { ...present, volumeIds: image.vmId === machine.vmId ? own : volumeIds }
}

/** Whether a process of this shape can be given, while it runs, the processors and memory that are wanted. */
export function canGrowInto(
  { growth, ...present }: PresentShape,
  wanted: Pick<MachineOrder, 'cpus' | 'memoryMiB'>,
): boolean {
  if (growth === null) return present.cpus === wanted.cpus && present.memoryMiB === wanted.memoryMiB
  return wanted.cpus <= growth.maximumCpus && wanted.memoryMiB <= growth.maximumMemoryMiB
}
