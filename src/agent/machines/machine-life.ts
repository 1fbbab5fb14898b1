/** Birth and death of a machine's process: ordered starts, recoveries on the spot, ends, and the release that forgets it durably. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { ImageId } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import type { FailureCause, Rung } from '../../model/recovery/recovery-policy.ts'
import { tellClone } from '../clones/tell-clone.ts'
import type { MachineEvent, MachineExit, RunningMachine } from '../hypervisor/hypervisor.ts'
import { beginFailure, climb, endAttempt, noteLaunchFailed, noteStarted, openAttempt } from '../recovery/climb.ts'
import { findImage, imageFor } from '../recovery/keep-image.ts'
import { rootOf } from '../recovery/machine-shape.ts'
import { forgetUnusedLayers } from '../recovery/note-layers.ts'
import { afterAdoption, afterStart, reconfigured } from '../recovery/serve-after-start.ts'
import { keepWhileItLives } from '../recovery/spare-keeper.ts'
import { keepTidy } from '../recovery/tidy-layers.ts'
import { endWatch, hurryWatch } from '../recovery/watch-service.ts'
import { keepFitting } from './fit-hardware.ts'
import { become, enqueue, isStill, type Keeping, nowIso, reapWithinMs, tidyAfterDeath, writeRecord } from './keeping.ts'
import { noteWriterDied, untilLanded } from './last-writes.ts'
import {
  boot,
  clone,
  isWanted,
  resume,
  resumeFrom,
  type Start,
  type StartOutcome,
  tidyEarlierProcess,
} from './machine-starts.ts'
import { noteStorageError } from './stand-still-on-storage-error.ts'

/** How long a restart on the spot waits for a licence before it looks again. */
const licenceRetryMs = 100
/** Within this time a rung has to have cured, or the next one is tried. */
const cureWithinMs = { 'restart-in-guest': 15_000, 'resume-here': 15_000, boot: 180_000 } as const
const guestRestartTimeoutMs = 15_000

type Why = { readonly cause: FailureCause; readonly detail: string }

/** An ordered start: the older life is reaped first, the order is written down, then it is launched. */
export async function startByOrder(keeping: Keeping, machine: MachineOrder, epoch: number): Promise<void> {
  if (keeping.running !== undefined) await keeping.running.kill(reapWithinMs)
  endWatch(keeping)
  await tidyAfterDeath(keeping)
  forgetFailures(keeping)
  const began = { incarnation: 0, confirmed: false, isArriving: false, wanted: 'running', isPaused: false } as const
  await writeRecord(keeping, { machine, epoch, ...began, handedOverTo: null })
  if (machine.start === 'clone') return afterOrderedStart(keeping, await clone(keeping, 'ordered'))
  if (machine.start === 'resume' && machine.resumesFrom !== null) return startFromSnapshot(keeping, machine.resumesFrom)
  await findImage(keeping)
  if (machine.start === 'resume' && imageFor(keeping) !== undefined) {
    const outcome = await resume(keeping, 'ordered')
    // What can't be resumed here boots; what the leader or the licence stopped is left to them.
    if (outcome.kind !== 'failed' || outcome.isOverruled) return afterOrderedStart(keeping, outcome)
    keeping.image.note = `it was booted: ${outcome.why}`
  }
  return afterOrderedStart(keeping, await boot(keeping, 'ordered'))
}

/** Its disks are those of the snapshot already: without its memory it boots on them. */
async function startFromSnapshot(keeping: Keeping, imageId: ImageId): Promise<void> {
  const { ports, record } = keeping
  const { storageId, volumeId } = rootOf(record.machine)
  const image = (await ports.storage(storageId).listImages(volumeId)).find(({ id }) => id === imageId)
  await findImage(keeping)
  if (image === undefined) return afterOrderedStart(keeping, await boot(keeping, 'ordered'))
  const outcome = await resumeFrom(keeping, 'ordered', image)
  if (outcome.kind !== 'failed' || outcome.isOverruled) return afterOrderedStart(keeping, outcome)
  keeping.image.note = `it was booted: ${outcome.why}`
  return afterOrderedStart(keeping, await boot(keeping, 'ordered'))
}

/** What a life before this one went through is over. */
export function forgetFailures(keeping: Keeping): void {
  keeping.failure = undefined
  keeping.failureTimesMs = []
  keeping.earlierAttempts = []
  keeping.drill = undefined
  keeping.wantsOtherHost = false
  keeping.crashes = 0
  keeping.guestShutdown = false
  keeping.servesSince = undefined
  keeping.departure = undefined
  keeping.volumeMirror = undefined
  keeping.image.isCapturing = false
}

/** Takes over a machine that an earlier agent had started. */
export async function goOnWith(keeping: Keeping, machine: RunningMachine): Promise<void> {
  followToItsEnd(keeping, machine)
  const { imageId } = keeping.record
  if (imageId !== null) keepWhileItLives(imageId, machine.exited, keeping.ports)
  inBackground(keeping, () => keepTidy(keeping, machine))
  inBackground(keeping, () => tellClone(keeping, machine))
  keepFitting(keeping, machine)
  await afterAdoption(keeping, { machine, onFailed: (detail) => serviceFailed(keeping, machine, detail) })
}

/** Its owner has changed how it recovers or what its service is. */
export async function changeOver(keeping: Keeping, machine: RunningMachine): Promise<void> {
  await reconfigured(keeping, { machine, onFailed: (detail) => serviceFailed(keeping, machine, detail) })
}

/** Ends it as it runs and takes this rung, whatever the ladder would choose; if that fails, the ladder goes on. */
export function recoverByHand(keeping: Keeping, rung: Rung): void {
  const { running, phase, record } = keeping
  if (running === undefined || phase !== 'running')
    throw new DialtoneError(
      'wrong-state',
      `${record.machine.name} is ${phase}: only a running machine can be recovered`,
    )
  refuseRung(keeping, rung)
  hurryWatch(keeping, 'it is recovered by order')
  const work = async () => {
    if (running !== keeping.running) return
    // Nothing has failed: it doesn't count among the machine's failures.
    keeping.drill = { injectedAt: keeping.ports.clock.wallTime() }
    beginFailure(keeping, { cause: 'unknown', detail: 'it is recovered by order' })
    await recover(keeping, rung)
  }
  inBackground(keeping, () => enqueue(keeping, work))
}

/** A machine that runs is not ended for what can't be done. */
function refuseRung(keeping: Keeping, rung: Rung): void {
  const { machine } = keeping.record
  const refuse = (why: string) =>
    new DialtoneError('wrong-state', `${machine.name} is not recovered by ${rung}: ${why}`)
  if (rung === 'rebuild-root') throw refuse('its host does not rebuild roots')
  if (rung === 'resume-elsewhere' && !machine.leased) throw refuse('it may run on this host only')
  if (rung === 'resume-here' && imageFor(keeping) === undefined) throw refuse('there is no memory image of it')
}

/** Its process died while nobody was looking: it is recovered as after any other death. */
export async function recoverDead(keeping: Keeping, detail: string): Promise<void> {
  noteWriterDied(keeping)
  await findImage(keeping)
  await forgetUnusedLayers(keeping).catch((error: unknown) =>
    keeping.ports.logger.warn('recovery.layers-not-read', { vmId: keeping.vmId, error }),
  )
  beginFailure(keeping, { cause: 'process-died', detail })
  await recover(keeping)
}

/**
 * Kills it and forgets it durably; when this resolves, it is reaped, its last writes have landed, and no agent of this host starts it by
 * itself. One that is asked for while another is under way is the same one: nothing of it may come after the first has answered and touch a
 * later life.
 *
 * `onlyIfStill`: throws `wrong-state`, and nothing is done, when a write of it may be on its way, for however long (decision 37).
 */
export function release(keeping: Keeping, why: string, { onlyIfStill = false } = {}): Promise<void> {
  if (!onlyIfStill) keeping.isReleased = true
  if (keeping.releasing !== undefined) return keeping.releasing
  const releasing = enqueue(keeping, async () => {
    if (onlyIfStill && !isStill(keeping))
      throw new DialtoneError('wrong-state', `${keeping.record.machine.name} may have a write on its way`)
    keeping.isReleased = true
    endWatch(keeping)
    if (keeping.running !== undefined) {
      await keeping.running.kill(reapWithinMs)
      noteWriterDied(keeping)
    }
    await tidyAfterDeath(keeping)
    await keeping.ports.records.remove(keeping.vmId)
    // It is taken as a proof, and another host may write at once.
    await untilLanded(keeping)
    become(keeping, 'stopped', why)
    // It is no machine's process: nobody who takes the release as a proof has to wait for it.
    inBackground(keeping, () => keeping.spare.drop())
  }).finally(() => {
    if (keeping.releasing === releasing) keeping.releasing = undefined
  })
  keeping.releasing = releasing
  return releasing
}

/** What nobody waits for: when it breaks, the machine has failed, and the other machines' agent goes on. */
export function inBackground(keeping: Keeping, work: () => Promise<unknown>): void {
  const epoch = keeping.orderedEpoch
  work().catch((error: unknown) => {
    fail(keeping, epoch, error instanceof Error ? error.message : String(error))
    keeping.ports.logger.error('machine.broke', { vmId: keeping.vmId, error })
  })
}

async function afterOrderedStart(keeping: Keeping, outcome: StartOutcome): Promise<void> {
  if (outcome.kind === 'running') return beginLife(keeping, outcome)
  await tidyAfterDeath(keeping)
  fail(keeping, keeping.record.epoch, outcome.kind === 'failed' ? outcome.why : 'it has no licence here')
}

/** What became of an epoch is no news of the newer one that was ordered since. */
function fail(keeping: Keeping, epoch: number, detail: string): void {
  if (keeping.orderedEpoch === epoch) become(keeping, 'failed', detail)
}

/** It runs: it is followed, watched and served from now on. */
export async function beginLife(
  keeping: Keeping,
  { machine, tookMs, before }: Extract<StartOutcome, { readonly kind: 'running' }>,
): Promise<void> {
  followToItsEnd(keeping, machine)
  noteStarted(keeping, tookMs)
  if (keeping.orderedEpoch === keeping.record.epoch) become(keeping, 'running', '')
  afterStart(keeping, { machine, onFailed: (detail) => serviceFailed(keeping, machine, detail) })
  inBackground(keeping, () => keepTidy(keeping, machine))
  inBackground(keeping, () => tellClone(keeping, machine))
  keepFitting(keeping, machine)
  expectCure(keeping, machine)
  await writeRecord(keeping, { confirmed: true })
  await tidyEarlierProcess(keeping, before)
}

function followToItsEnd(keeping: Keeping, machine: RunningMachine): void {
  keeping.storageTrouble = undefined
  keeping.isStandingInDoubt = false
  machine.onEvent((event) => {
    if (machine === keeping.running && event.kind === 'state' && event.state === 'io-error')
      inBackground(keeping, () => noteStorageError(keeping, machine))
    const why = whyOf(event)
    if (machine !== keeping.running || why === undefined) return
    hurryWatch(keeping, why.detail)
    inBackground(keeping, () => enqueue(keeping, () => failNow(keeping, machine, why)))
  })
  const ended = machine.exited.then((exit) => {
    const failedAt = keeping.ports.clock.wallTime()
    if (exit.reason !== 'guest-shutdown') noteWriterDied(keeping)
    if (machine === keeping.running && exit.reason === 'crashed') hurryWatch(keeping, exit.detail)
    return enqueue(keeping, () => afterExit(keeping, machine, { ...exit, failedAt }))
  })
  inBackground(keeping, () => ended)
}

/** Its probe says so; what doesn't recover from memory is only observed. */
function serviceFailed(keeping: Keeping, machine: RunningMachine, detail: string): void {
  const isOwnersWish = keeping.record.machine.recovery.mode !== 'boot'
  if (!isOwnersWish || machine !== keeping.running || keeping.phase !== 'running') return
  const work = () => failNow(keeping, machine, { cause: 'wrong-answers', detail })
  inBackground(keeping, () => enqueue(keeping, work))
}

/** Begins the recovery of a machine whose process still lives. */
async function failNow(keeping: Keeping, machine: RunningMachine, why: Why): Promise<void> {
  // A guest that can't hear its power button any more is down for all that matters.
  const isToBeDown = keeping.record.wanted === 'stopped' && keeping.phase === 'stopping'
  if (isToBeDown && machine === keeping.running && !keeping.isReleased) return machine.kill(reapWithinMs)
  const isOver = machine !== keeping.running || keeping.isReleased || keeping.record.wanted === 'stopped'
  if (isOver) return
  // While its storage is tried again it runs, though it is told as frozen.
  if (keeping.storageTrouble !== undefined) keeping.storageTrouble.failure = () => failNow(keeping, machine, why)
  if (keeping.phase !== 'running') return
  beginFailure(keeping, why)
  await recover(keeping)
}

/** Takes rung after rung until one runs; ends in `failed` when the ladder asks for another host or for a person. */
async function recover(keeping: Keeping, wished?: Rung): Promise<void> {
  const { ports } = keeping
  const step = climb(keeping, wished)
  if (step.kind === 'give-up') {
    await endProcess(keeping)
    await tidyAfterDeath(keeping)
    keeping.wantsOtherHost = step.wantsOtherHost
    return become(keeping, 'failed', step.detail)
  }
  if (step.rung === 'restart-in-guest') return restartInGuest(keeping)
  become(keeping, 'restarting', step.detail)
  await endProcess(keeping)
  // Of the life that died, not of an order that came in meanwhile: that one starts by itself, and only with the leader's word.
  const { epoch } = keeping.record
  const start = step.rung === 'resume-here' ? resume : boot
  if (step.waitMs === 0) return restart(keeping, epoch, start)
  inBackground(keeping, () =>
    ports.clock.sleep(step.waitMs).then(() => enqueue(keeping, () => restart(keeping, epoch, start))),
  )
}

export async function endProcess(keeping: Keeping): Promise<void> {
  const { running } = keeping
  if (running === undefined) return
  keeping.running = undefined
  await running.kill(reapWithinMs)
  running.detach()
  // What it answered until now says nothing of the process that follows it.
  hurryWatch(keeping, 'its process was ended')
}

/** The machine itself goes on; only what it serves with is started anew. */
async function restartInGuest(keeping: Keeping): Promise<void> {
  const { running } = keeping
  if (running === undefined) return
  try {
    await running.askResident({ do: 'restart' }, guestRestartTimeoutMs)
    expectCure(keeping, running)
  } catch (error) {
    noteLaunchFailed(keeping, error instanceof Error ? error.message : String(error))
    await recover(keeping)
  }
}

/** A rung that has not cured in time has failed. */
function expectCure(keeping: Keeping, machine: RunningMachine): void {
  const attempt = openAttempt(keeping)
  if (attempt === undefined || attempt.rung === 'resume-elsewhere' || attempt.rung === 'rebuild-root') return
  const withinMs = cureWithinMs[attempt.rung]
  const look = async () => {
    const isOver = openAttempt(keeping) !== attempt || machine !== keeping.running || keeping.isReleased
    if (isOver || keeping.phase === 'stopping') return
    // One that stands still can't answer: it gets its time when it goes on.
    if (keeping.phase !== 'running') return expectCure(keeping, machine)
    endAttempt(keeping, false, `its service did not answer correctly within ${withinMs / 1000} s`)
    await recover(keeping)
  }
  inBackground(keeping, () => keeping.ports.clock.sleep(withinMs).then(() => enqueue(keeping, look)))
}

/** Under an unchanged placement only: an order that came in between has taken over, and only an epoch that ran once goes on by itself. */
export async function restart(keeping: Keeping, epoch: number, start: Start): Promise<void> {
  if (!isWanted(keeping, epoch) || keeping.running !== undefined || !keeping.record.confirmed) return
  await keeping.ports.cgroups.kill(keeping.vmId, reapWithinMs)
  keeping.record = { ...keeping.record, incarnation: keeping.record.incarnation + 1, isPaused: false }
  await startOnTheSpot(keeping, epoch, start)
}

async function startOnTheSpot(keeping: Keeping, epoch: number, start: Start): Promise<void> {
  const outcome = await start(keeping, 'on-the-spot')
  switch (outcome.kind) {
    case 'running':
      return beginLife(keeping, outcome)
    case 'no-licence':
      await tidyAfterDeath(keeping)
      return retryWithLicence(keeping, epoch, start)
    case 'failed':
      noteLaunchFailed(keeping, outcome.why)
      if (isWanted(keeping, epoch)) return recover(keeping)
      await tidyAfterDeath(keeping)
      return fail(keeping, epoch, outcome.why)
  }
}

function retryWithLicence(keeping: Keeping, epoch: number, start: Start): void {
  become(keeping, 'restarting', 'waits for a licence: the lease has run out and a slot has a pill or cannot be read')
  const again = async () => {
    if (isWanted(keeping, epoch) && keeping.running === undefined) await startOnTheSpot(keeping, epoch, start)
  }
  inBackground(keeping, () => keeping.ports.clock.sleep(licenceRetryMs).then(() => enqueue(keeping, again)))
}

async function afterExit(
  keeping: Keeping,
  machine: RunningMachine,
  exit: MachineExit & { readonly failedAt: Date },
): Promise<void> {
  if (machine !== keeping.running || keeping.isReleased) return
  const { vmId, ports, record } = keeping
  ports.logger.warn('machine.exited', { vmId, name: record.machine.name, reason: exit.reason, detail: exit.detail })
  if (record.wanted === 'stopped' || exit.reason === 'guest-shutdown') {
    keeping.guestShutdown = exit.reason === 'guest-shutdown'
    endWatch(keeping)
    ports.journal.note({ kind: 'planned', vmId, at: nowIso(keeping), what: 'stopped' })
    await tidyAfterDeath(keeping)
    await keeping.spare.drop()
    await writeRecord(keeping, { wanted: 'stopped' })
    return become(keeping, 'stopped', exit.detail)
  }
  machine.detach()
  keeping.running = undefined
  // It may run elsewhere by now.
  if (record.handedOverTo !== null) return become(keeping, 'frozen', `it was handed over, and has died: ${exit.detail}`)
  beginFailure(keeping, { cause: 'process-died', detail: exit.detail, failedAt: exit.failedAt })
  await recover(keeping)
}

function whyOf(event: MachineEvent): Why | undefined {
  switch (event.kind) {
    case 'guest-panicked':
      return { cause: 'guest-panicked', detail: 'the kernel of the guest panicked' }
    case 'guest-hung':
      return { cause: 'guest-hung', detail: "the guest's watchdog was not fed in time" }
    case 'state':
    case 'guest-reset':
      return undefined
  }
}
