/**
 * Gives a running machine what it is to have, and takes what it is not to have any more, as far as its guest agrees. A loop: what could not
 * be done is tried again from time to time, and why is told meanwhile. What only a restart can change is told, and waits for that.
 */
import { type HardwareNote, memoryStepMiB, type PresentHardware, pendingOf } from '../../model/growth.ts'
import type { Accelerator } from '../../model/hardware.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import { presentOf } from '../../model/present-shape.ts'
import type { MachineHardware, RunningMachine } from '../hypervisor/hypervisor.ts'
import { dataDisksOf, userIdOf } from '../recovery/machine-shape.ts'
import { fitCards } from './fit-cards.ts'
import { fitDisks } from './fit-disks.ts'
import type { Attempt, Look } from './hardware-attempt.ts'
import { enqueue, type Fitting, type Keeping, writeRecord } from './keeping.ts'
import { cardsOf } from './machine-cards.ts'

/** A guest that runs brings a processor, or gives one back, within a second; a busy one takes longer. */
const cpuTimeoutMs = 5_000
/** What it gives back later is seen at the next look. */
const memoryTimeoutMs = 2_000
const firstAgainMs = 500
const lastAgainMs = 15_000

/** The machine as it is to be from now on. What its process is stays written down where it has one. */
export function asWanted(before: MachineOrder, wanted: MachineOrder, hasProcess: boolean): MachineOrder {
  const { recovery, probe, cpus, memoryMiB, disks, moreNics, growth, limits } = wanted
  const present = hasProcess ? presentOf(before) : null
  return { ...before, recovery, probe, cpus, memoryMiB, disks, moreNics, growth, limits, present }
}

/** In the background, until all is as it is to be, or can't be before a restart. A newer call ends the older one. */
export function keepFitting(keeping: Keeping, machine: RunningMachine): void {
  const wasLimited = keeping.fitting?.machine === machine
  const fitting: Fitting = { machine, hardware: keeping.fitting?.machine === machine ? keeping.fitting.hardware : null }
  keeping.fitting = fitting
  const isOver = () => keeping.fitting !== fitting || keeping.running !== machine || keeping.isReleased
  const run = async () => {
    for (let waitMs = firstAgainMs; !isOver(); waitMs = Math.min(2 * waitMs, lastAgainMs)) {
      const isDone = await fitOnce(keeping, fitting, wasLimited).catch((error: unknown) => {
        if (!isOver()) keeping.ports.logger.warn('machine.not-fitted', { vmId: keeping.vmId, error })
        return false
      })
      if (isDone) return
      await keeping.ports.clock.sleep(waitMs)
    }
  }
  void run()
}

/** True when there is nothing left to do before a restart. */
async function fitOnce(keeping: Keeping, fitting: Fitting, wasLimited: boolean): Promise<boolean> {
  const { machine } = fitting
  // A start that has all at once, as nearly every one, is held up by nothing.
  const found = wasLimited ? undefined : await lookForAll(keeping, machine)
  if (found !== undefined) {
    fitting.hardware = found
    return true
  }
  const outcome = await enqueue(keeping, async () => {
    const { image, record, departure } = keeping
    const isMine = keeping.fitting === fitting && keeping.running === machine && !keeping.isReleased
    const isFree = keeping.phase === 'running' && !image.isCapturing && departure === undefined
    // While it is captured or moved it stays what it is.
    if (!isMine || !isFree || record.handedOverTo !== null) return undefined
    image.isCapturing = true
    try {
      return await fit(keeping, machine)
    } finally {
      image.isCapturing = false
    }
  })
  if (outcome === undefined) return false
  fitting.hardware = outcome.hardware
  keeping.ports.reportSoon()
  return outcome.hardware.notes.every(({ needsRestart }) => needsRestart)
}

/** What it has, if that is all that it is to have and nothing limits it. */
async function lookForAll(
  { record: { machine } }: Keeping,
  running: RunningMachine,
): Promise<PresentHardware | undefined> {
  if (Object.values(machine.limits).some((limit) => limit !== null)) return undefined
  const { cpus, memoryMiB, disks, cards } = await running.hardware()
  const hardware = { cpus, memoryMiB, disks: disksOf(machine, disks), cards: [...cards], notes: [] }
  const later = dataDisksOf(machine)
  const wanted = { ...machine, disks: machine.disks.filter((disk) => !later.includes(disk)), cards: machine.moreNics }
  return pendingOf(wanted, hardware).length === 0 ? hardware : undefined
}

function disksOf(machine: MachineOrder, found: MachineHardware['disks']): PresentHardware['disks'] {
  return machine.disks.flatMap(({ volumeId }) => {
    const disk = found.find((one) => one.volumeId === volumeId)
    return disk === undefined ? [] : [{ volumeId, sizeMiB: disk.sizeMiB }]
  })
}

async function fit(keeping: Keeping, machine: RunningMachine) {
  const notes: HardwareNote[] = []
  const attempt: Attempt = async ({ what, which }, work) => {
    try {
      await work()
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      keeping.ports.logger.info('machine.hardware-waits', { vmId: keeping.vmId, what, which, why })
      notes.push({ what, which, why, needsRestart: false })
    }
  }
  const before = await machine.hardware()
  notes.push(...(await fitCpus(keeping, { machine, before }, attempt)))
  notes.push(...(await fitMemory(keeping, { machine, before }, attempt)))
  notes.push(...(await fitDisks(keeping, { machine, before }, attempt)))
  notes.push(...(await fitCards(keeping, { machine, before, userId: userIdOf(keeping.record.machine) }, attempt)))
  await fitLimits(keeping, machine, attempt)
  const { cpus, memoryMiB, disks, cards } = await machine.hardware()
  await noteProcessors(keeping, cpus)
  return { hardware: { cpus, memoryMiB, disks: disksOf(keeping.record.machine, disks), cards: [...cards], notes } }
}

async function fitCpus(
  { record }: Keeping,
  { machine, before }: Look,
  attempt: Attempt,
): Promise<readonly HardwareNote[]> {
  const { cpus, hardware } = record.machine
  const leastCpus = canLoseCpus(hardware.accelerator) ? 1 : before.cpus
  const reachable = Math.max(leastCpus, Math.min(cpus, before.maximumCpus))
  const notes: HardwareNote[] = []
  const note = (why: string, needsRestart: boolean) => notes.push({ what: 'cpus', which: '', why, needsRestart })
  await attempt({ what: 'cpus', which: '' }, async () => {
    const count = reachable === before.cpus ? reachable : await machine.setCpus(reachable, cpuTimeoutMs)
    if (count > reachable)
      note(`its guest keeps ${count} processors; it is asked again, and has ${cpus} at its next start`, false)
  })
  if (cpus < leastCpus) note('an emulated processor is not taken out while it runs', true)
  if (cpus > before.maximumCpus) note(roomSentence(`${before.maximumCpus} processors`), true)
  return notes
}

/** QEMU 7.2 ends itself when an emulated processor comes after one was taken out: "double free or corruption", seen twice of two. */
function canLoseCpus(accelerator: Accelerator): boolean {
  return accelerator === 'kvm'
}

async function fitMemory(
  { record }: Keeping,
  { machine, before }: Look,
  attempt: Attempt,
): Promise<readonly HardwareNote[]> {
  const { memoryMiB } = record.machine
  const { bootMemoryMiB, roomMiB } = before
  const mostMiB = bootMemoryMiB + roomMiB
  const canShrink = presentOf(record.machine).growth !== null
  const notes: HardwareNote[] = []
  const note = (why: string, needsRestart: boolean) => notes.push({ what: 'memory', which: '', why, needsRestart })
  if (memoryMiB > mostMiB) note(roomSentence(`${mostMiB} MiB`), true)
  else if (memoryMiB < bootMemoryMiB && !canShrink) note('it began without the means to give memory back', true)
  const wantedMiB = Math.min(memoryMiB, mostMiB)
  if (Math.abs(wantedMiB - before.memoryMiB) < 1 || !canShrink) return notes
  await attempt({ what: 'memory', which: '' }, async () => {
    const hasMiB = await machine.setMemory(wantedMiB, memoryTimeoutMs)
    if (hasMiB > wantedMiB + memoryStepMiB)
      note(`its guest keeps ${hasMiB} MiB; it is asked again, and has ${memoryMiB} MiB at its next start`, false)
    else if (hasMiB < wantedMiB - memoryStepMiB)
      note(`its guest has taken ${hasMiB} MiB so far; it has ${memoryMiB} MiB at its next start`, false)
  })
  return notes
}

function roomSentence(most: string): string {
  return `it began with room for ${most}: it has more at its next start`
}

async function fitLimits({ record, vmId, ports }: Keeping, machine: RunningMachine, attempt: Attempt): Promise<void> {
  const { limits } = record.machine
  await attempt({ what: 'limits', which: 'cpu' }, () => ports.cgroups.limit(vmId, limits))
  await attempt({ what: 'limits', which: 'disk' }, () => machine.limitDisks(limits))
  await attempt({ what: 'limits', which: 'network' }, () =>
    ports.network.limit(tapNamesOf(record.machine, record.tapName), limits.networkMbitPerSecond),
  )
}

function tapNamesOf(machine: MachineOrder, tapName: string): readonly string[] {
  return cardsOf(machine, tapName).map((card) => card.tapName)
}

/** What waits to take it over, goes on from its images or receives it has as many. */
async function noteProcessors(keeping: Keeping, cpus: number): Promise<void> {
  const { machine } = keeping.record
  const present = presentOf(machine)
  if (present.cpus !== cpus) await writeRecord(keeping, { machine: { ...machine, present: { ...present, cpus } } })
}
