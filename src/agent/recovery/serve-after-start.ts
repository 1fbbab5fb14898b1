/**
 * What follows a start, beside the running machine: a resumed one hears that time has passed and draws new random numbers; data volumes are
 * plugged in and mounted; the first image is captured as soon as the machine serves; checkpoints are taken.
 */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { residentEntropyBytes } from '../hypervisor/resident-protocol.ts'
import { enqueue, type Keeping } from '../machines/keeping.ts'
import { captureNow, findImage, keepSpare, measureImage } from './keep-image.ts'
import { noteOfMove } from './let-images-go.ts'
import { dataDisksOf, openDisk } from './machine-shape.ts'
import { requireResident } from './require-resident.ts'
import { endWatch, pauseWatch, watchService } from './watch-service.ts'

/** A guest that was up when it was captured answers within milliseconds; one that boots gets its time from the probe. */
const residentTimeoutMs = 2_000
const mountTimeoutMs = 30_000
/** The guest comes first after a recovery; the next spare is prepared when it has had the processor for a moment. */
const spareAfterMs = 1_000
const measureEveryMs = 10_000
const lookAgainMs = 100
/** Between two attempts to have the data volumes mounted. */
const firstPlugAgainMs = 1_000
const lastPlugAgainMs = 30_000

export type Started = { readonly machine: RunningMachine; onFailed(detail: string): void }

/** Does all of it in the background. What breaks is noted and told; the machine runs on. */
export function afterStart(keeping: Keeping, { machine, onFailed }: Started): void {
  watchService(keeping, {
    onServing: () => inBackground(keeping, machine, () => onServing(keeping, machine)),
    onFailed,
  })
  followResume(keeping, machine)
}

/** The same, for a machine that an earlier agent had started. */
export async function afterAdoption(keeping: Keeping, { machine, onFailed }: Started): Promise<void> {
  await findImage(keeping)
  if (keeping.phase === 'stopping') return
  watchService(keeping, {
    onServing: () => inBackground(keeping, machine, () => onServing(keeping, machine)),
    onFailed,
  })
  if (keeping.phase === 'paused') pauseWatch(keeping)
  // The agent that resumed it may have died before its volumes were plugged in. Doing it twice is fine.
  else followResume(keeping, machine)
}

/** Its owner wants it to recover in another way, or another probe to look, while it runs. */
export async function reconfigured(keeping: Keeping, { machine, onFailed }: Started): Promise<void> {
  endWatch(keeping)
  await afterAdoption(keeping, { machine, onFailed })
}

/** How an image is captured of a machine that runs: data volumes are out of it for the moment. */
export async function captureRunning(keeping: Keeping): Promise<Awaited<ReturnType<typeof captureNow>>> {
  const { running, record, image } = keeping
  if (running === undefined) throw new DialtoneError('wrong-state', `${record.machine.name} does not run here`)
  if (record.machine.recovery.mode === 'boot')
    throw new DialtoneError('wrong-state', `${record.machine.name} recovers by booting: it has no image`)
  if (image.isCapturing) throw new DialtoneError('in-use', `an image of ${record.machine.name} is being captured`)
  if (keeping.phase !== 'running')
    throw new DialtoneError('wrong-state', `${record.machine.name} is ${keeping.phase}: its guest can't answer`)
  image.isCapturing = true
  try {
    await requireResident(running)
    if (dataDisksOf(record.machine).length === 0) return await captureNow(keeping)
    return await captureWithoutDataDisks(keeping, running)
  } finally {
    image.isCapturing = false
  }
}

async function captureWithoutDataDisks(
  keeping: Keeping,
  machine: RunningMachine,
): Promise<Awaited<ReturnType<typeof captureNow>>> {
  try {
    await unplugDataDisks(keeping, machine)
    return await captureNow(keeping)
  } finally {
    const { note } = keeping.image
    await plugOnce(keeping, machine).catch((error: unknown) => {
      noteTrouble(keeping, error)
      inBackground(keeping, machine, () => plugDataDisks(keeping, machine, note))
    })
  }
}

function followResume(keeping: Keeping, machine: RunningMachine): void {
  if (keeping.record.startedBy === 'resume') inBackground(keeping, machine, () => afterResume(keeping, machine))
}

async function afterResume(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const { ports } = keeping
  const entropy = Buffer.from(ports.randomBytes(residentEntropyBytes)).toString('hex')
  // The clock is stepped on the way, and the random numbers are new already by the generation id.
  await machine
    .askResident({ do: 'resume', timeMs: ports.clock.wallTime().getTime(), entropy }, residentTimeoutMs)
    .catch((error: unknown) => ports.logger.warn('guest.clock-not-stepped', { vmId: keeping.vmId, error }))
  await plugDataDisks(keeping, machine)
}

async function onServing(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const { record, image, ports } = keeping
  const { recovery } = record.machine
  if (recovery.mode === 'boot') return
  const isMoved = keeping.arrival !== undefined && keeping.arrival.copied.length > 0
  if (isMoved) await captureAfterMove(keeping, machine)
  else if (record.startedBy === 'boot' && recovery.mode === 'warm') {
    if (image.manifest === undefined) await captureFirst(keeping, machine)
    await plugDataDisks(keeping, machine)
  }
  // It was let go on from a snapshot, which ended the image that it had.
  if (record.startedBy === 'resume' && recovery.mode === 'warm' && image.manifest === undefined)
    await captureAnew(keeping, machine).catch((error: unknown) => noteTrouble(keeping, error))
  await ports.clock.sleep(spareAfterMs)
  if (keeping.running !== machine) return
  keepSpare(keeping)
  // Until its owner wants another way: then this is done anew.
  const goesOn = () => keeping.running === machine && keeping.record.machine.recovery === recovery
  if (recovery.mode === 'checkpoint')
    inBackground(keeping, machine, () => takeCheckpoints(keeping, { goesOn, everyMs: recovery.everySeconds * 1000 }))
  inBackground(keeping, machine, () => keepMeasuring(keeping, goesOn))
}

/**
 * The images of a machine whose disk was moved are gone with it. A warm one is captured anew at once where nothing has to be taken from
 * its guest for that; checkpoints go on as ever.
 */
export async function captureAfterMove(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const { image, record } = keeping
  if (record.machine.recovery.mode !== 'warm' || image.manifest !== undefined) return
  if (dataDisksOf(record.machine).length > 0) image.note = noteOfMove(keeping)
  else await captureFirst(keeping, machine)
}

/** As soon as what brought it here is through. */
async function captureAnew(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const { image, ports } = keeping
  while (isAtWork(keeping, machine)) await ports.clock.sleep(lookAgainMs)
  if (keeping.running === machine && image.manifest === undefined) await captureRunning(keeping)
}

/** Something else of its owner's is being brought about: what is to follow waits for it, for nobody asks for it again. */
function isAtWork({ image, running }: Keeping, machine: RunningMachine): boolean {
  return image.isCapturing && running === machine
}

/** Only a guest that can be told to draw new random numbers may be resumed, so it is asked before the image is made. */
async function captureFirst(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const { image, ports } = keeping
  try {
    await requireResident(machine)
    while (isAtWork(keeping, machine)) await ports.clock.sleep(lookAgainMs)
    if (keeping.running === machine && image.manifest === undefined) await captureNow(keeping)
  } catch (error) {
    keeping.image.note = `no image could be captured: ${error instanceof Error ? error.message : String(error)}`
    keeping.ports.reportSoon()
  }
}

/**
 * Until the guest has mounted all of them: one that is too busy at the moment is asked again, and what it said is told meanwhile. `note`:
 * what is to be told afterwards; what was said before of its image still holds.
 */
async function plugDataDisks(keeping: Keeping, machine: RunningMachine, note = keeping.image.note): Promise<void> {
  const { ports, image, record } = keeping
  if (dataDisksOf(record.machine).length === 0) return
  image.note = 'its data volumes are being mounted'
  for (let waitMs = firstPlugAgainMs; keeping.running === machine; waitMs = Math.min(2 * waitMs, lastPlugAgainMs)) {
    try {
      await plugOnce(keeping, machine)
      image.note = note
      return ports.reportSoon()
    } catch (error) {
      if (keeping.running !== machine) throw error
      noteTrouble(keeping, error)
    }
    await ports.clock.sleep(waitMs)
    // A paused guest can't answer, and a capture plugs them in when it ends.
    while (keeping.running === machine && (keeping.phase !== 'running' || image.isCapturing))
      await ports.clock.sleep(firstPlugAgainMs)
  }
}

async function plugOnce(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const { record, ports } = keeping
  for (const [index, disk] of dataDisksOf(record.machine).entries()) {
    await enqueue(keeping, async () => {
      if (keeping.running === machine) await machine.attachDisk(await openDisk(record.machine, disk, ports))
    })
    await machine.askResident({ do: 'mount', serial: disk.volumeId, index }, mountTimeoutMs)
  }
}

async function unplugDataDisks(keeping: Keeping, machine: RunningMachine): Promise<void> {
  for (const { volumeId } of dataDisksOf(keeping.record.machine).toReversed()) {
    await machine.askResident({ do: 'unmount', serial: volumeId }, mountTimeoutMs)
    await machine.detachDisk(volumeId)
  }
}

async function takeCheckpoints(
  keeping: Keeping,
  { goesOn, everyMs }: { goesOn(): boolean; readonly everyMs: number },
): Promise<void> {
  const { running, ports } = keeping
  while (goesOn()) {
    while (running !== undefined && isAtWork(keeping, running) && goesOn()) await ports.clock.sleep(lookAgainMs)
    if (goesOn() && keeping.phase === 'running') await captureNow(keeping).catch(() => undefined)
    await ports.clock.sleep(everyMs)
  }
}

async function keepMeasuring(keeping: Keeping, goesOn: () => boolean): Promise<void> {
  const { ports, vmId } = keeping
  while (goesOn()) {
    await measureImage(keeping).catch((error: unknown) => ports.logger.info('image.not-measured', { vmId, error }))
    await ports.clock.sleep(measureEveryMs)
  }
}

function inBackground(keeping: Keeping, machine: RunningMachine, work: () => Promise<void>): void {
  work().catch((error: unknown) => {
    // Its process may just have died, which is somebody else's business.
    if (keeping.running === machine) noteTrouble(keeping, error)
  })
}

function noteTrouble({ ports, vmId, image }: Keeping, error: unknown): void {
  image.note = error instanceof Error ? error.message : String(error)
  ports.logger.warn('machine.not-followed-up', { vmId, error })
  ports.reportSoon()
}
