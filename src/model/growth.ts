/**
 * Growing while it runs: how far a machine can, what it is to have, what it has, and what is still missing. Pure. A machine without growth
 * is one of before there was any, or one that was not to have it: its processors and memory change at its next start.
 */
import { z } from 'zod'
import { maximumNics, nicNumberSchema } from './hardware.ts'
import { volumeIdSchema } from './ids.ts'

export const maximumCpusOfAll = 64
export const maximumMemoryMiBOfAll = 4_194_304

/** Room that its virtual hardware has from its start on. A version of the hardware of its own: see decision 35. */
export const growthSchema = z.object({
  maximumCpus: z.number().int().min(1).max(maximumCpusOfAll),
  maximumMemoryMiB: z.number().int().min(16).max(maximumMemoryMiBOfAll),
})
export type Growth = z.infer<typeof growthSchema>

const leastMaximumCpus = 8
const leastMaximumMemoryMiB = 8192
const timesAsMany = 4

/** Room that costs next to nothing: addresses, and a quarter of a MiB of the guest for each processor that may come. */
export function usualGrowth({ cpus, memoryMiB }: { readonly cpus: number; readonly memoryMiB: number }): Growth {
  return {
    maximumCpus: Math.min(maximumCpusOfAll, Math.max(leastMaximumCpus, timesAsMany * cpus)),
    maximumMemoryMiB: Math.min(maximumMemoryMiBOfAll, Math.max(leastMaximumMemoryMiB, timesAsMany * memoryMiB)),
  }
}

/** What a machine may take of its host; null: as much as there is. */
export const limitsSchema = z.object({
  /** Of one processor: 150 is one and a half. */
  cpuPercent: z
    .number()
    .int()
    .min(1)
    .max(100 * maximumCpusOfAll)
    .nullable(),
  /** Its share when processors are short; 100 is the usual one. */
  cpuWeight: z.number().int().min(1).max(10_000).nullable(),
  /** Of all its disks together. */
  diskIops: z.number().int().min(1).max(10_000_000).nullable(),
  diskMiBPerSecond: z.number().int().min(1).max(1_000_000).nullable(),
  /** Of each card, in each direction. */
  networkMbitPerSecond: z.number().int().min(1).max(1_000_000).nullable(),
})
export type Limits = z.infer<typeof limitsSchema>

export const noLimits: Limits = {
  cpuPercent: null,
  cpuWeight: null,
  diskIops: null,
  diskMiBPerSecond: null,
  networkMbitPerSecond: null,
}

/** Why something of it is not as it is wanted, by what it is. */
export const hardwareNoteSchema = z.object({
  what: z.enum(['cpus', 'memory', 'disk', 'card', 'limits']),
  /** Which disk or card; empty for what there is one of. */
  which: z.string(),
  why: z.string(),
  /** It is so at its next start, and not before. */
  needsRestart: z.boolean(),
})
export type HardwareNote = z.infer<typeof hardwareNoteSchema>

/** What a running machine has. */
export const presentHardwareSchema = z.object({
  cpus: z.number().int(),
  /** What its guest has, or has not given back yet. */
  memoryMiB: z.number().int(),
  disks: z.array(z.object({ volumeId: volumeIdSchema, sizeMiB: z.number() })),
  cards: z.array(nicNumberSchema).max(maximumNics),
  notes: z.array(hardwareNoteSchema),
})
export type PresentHardware = z.infer<typeof presentHardwareSchema>

/** What a machine is to have. */
export type WantedHardware = {
  readonly cpus: number
  readonly memoryMiB: number
  readonly disks: readonly {
    readonly volumeId: string
    readonly sizeMiB?: number | undefined
    readonly isDetached?: boolean | undefined
  }[]
  /** Those after the first one. */
  readonly cards: readonly { readonly number: number; readonly isDetached?: boolean | undefined }[]
}

export const pendingSchema = z.object({
  what: hardwareNoteSchema.shape.what,
  which: z.string(),
  wanted: z.string(),
  present: z.string(),
  /** `soon`: it is under way, and needs nobody. */
  when: z.enum(['soon', 'next-start']),
  why: z.string(),
})
export type Pending = z.infer<typeof pendingSchema>

/** Guests take memory in blocks of this; QEMU's own are smaller. */
export const memoryStepMiB = 4

/** What a running machine is to have and has not; empty when it has all. */
export function pendingOf(wanted: WantedHardware, present: PresentHardware): readonly Pending[] {
  const pending: Pending[] = []
  const add = (what: Pending['what'], which: string, [to, from]: readonly [string, string]) => {
    const note = present.notes.find((one) => one.what === what && one.which === which)
    const when = note?.needsRestart === true ? ('next-start' as const) : ('soon' as const)
    pending.push({ what, which, wanted: to, present: from, when, why: note?.why ?? '' })
  }
  if (wanted.cpus !== present.cpus) add('cpus', '', [`${wanted.cpus}`, `${present.cpus}`])
  if (Math.abs(wanted.memoryMiB - present.memoryMiB) >= memoryStepMiB)
    add('memory', '', [`${wanted.memoryMiB} MiB`, `${present.memoryMiB} MiB`])
  for (const { volumeId, sizeMiB = 0, isDetached = false } of wanted.disks) {
    const there = present.disks.find((disk) => disk.volumeId === volumeId)
    if (isDetached === (there === undefined) && (there === undefined || sizeMiB <= there.sizeMiB)) continue
    const size = sizeMiB === 0 ? 'plugged in' : `${sizeMiB} MiB`
    add('disk', volumeId, [isDetached ? 'none' : size, there === undefined ? 'none' : `${there.sizeMiB} MiB`])
  }
  for (const { number, isDetached = false } of wanted.cards) {
    const isThere = present.cards.includes(number)
    if (isDetached === isThere)
      add('card', `${number}`, [isDetached ? 'none' : 'plugged in', isThere ? 'plugged in' : 'none'])
  }
  for (const { what, which, why, needsRestart } of present.notes)
    if (what === 'limits')
      pending.push({
        what,
        which,
        wanted: 'in force',
        present: 'not in force',
        when: needsRestart ? 'next-start' : 'soon',
        why,
      })
  return pending
}

/** What of the memory that is wanted comes and goes while it runs, beside what it began with. */
export type MemoryPlan = {
  /** To be plugged in beside what it began with. */
  readonly pluggedMiB: number
  /** To be taken back of what it began with. */
  readonly balloonedMiB: number
  /** Above what it can have before its next start. */
  readonly missingMiB: number
}

/** Pure: the same wish, the same plan. */
export function planMemory(
  wantedMiB: number,
  { bootMiB, roomMiB }: { readonly bootMiB: number; readonly roomMiB: number },
): MemoryPlan {
  const moreMiB = Math.max(0, wantedMiB - bootMiB)
  const pluggedMiB = Math.min(roomMiB, Math.ceil(moreMiB / memoryStepMiB) * memoryStepMiB)
  return { pluggedMiB, balloonedMiB: Math.max(0, bootMiB - wantedMiB), missingMiB: Math.max(0, moreMiB - roomMiB) }
}

/** How much can be plugged in beside what it began with, in whole steps. */
export function roomBeside(bootMiB: number, { maximumMemoryMiB }: Growth): number {
  return Math.floor(Math.max(0, maximumMemoryMiB - bootMiB) / memoryStepMiB) * memoryStepMiB
}
