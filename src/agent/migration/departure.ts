/**
 * A machine that leaves this host while it runs. Until it is handed over, this host owns it, and any failure leaves it running here. Before
 * the last of it is sent that is written down: from then on nothing of it runs here by itself, whatever dies, until the leader says that
 * it is alone here.
 */
import type { Duplex } from 'node:stream'
import type {
  CopiedDisk,
  Departing,
  DepartureReport,
  DepartureTarget,
} from '../../model/agent-protocol/migration-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { unloggedMemory } from '../../model/guest.ts'
import {
  chooseMethod,
  followingBytesPerSecond,
  longestMoveMs,
  nextStep,
  pauseLimitMs,
} from '../../model/migration/migration-method.ts'
import { presentOf } from '../../model/present-shape.ts'
import { joinStreams } from '../../transport/join-streams.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import type { OutgoingMachine } from '../hypervisor/moving-machine.ts'
import { guardMachine } from '../machines/guard-machine.ts'
import { become, endTorn, enqueue, type Keeping, writeRecord } from '../machines/keeping.ts'
import { sharedStoragesOf } from '../machines/launch-machine.ts'
import { recoverDead } from '../machines/machine-life.ts'
import { pluggedDisks } from '../recovery/capture-image.ts'
import { stopTidying } from '../recovery/tidy-layers.ts'
import { pauseWatch, resumeWatch } from '../recovery/watch-service.ts'
import { mirrorDisks } from './disk-mirrors.ts'
import type { Departure } from './moving.ts'

const lookEveryMs = 40

/** `copied`: disks that go with it. */
export type DepartureWish = {
  readonly target: DepartureTarget
  readonly copied: readonly CopiedDisk[]
  /** The other end can let it run before all of its memory is there. */
  readonly canPostCopy: boolean
}

/** Keeps it as it is: no image is captured and no disk comes or goes until it has left, or stays. */
export function prepareDeparture(keeping: Keeping): Promise<Departing> {
  return enqueue(keeping, async () => {
    const { running, phase, record, image, departure } = keeping
    const { name } = record.machine
    if (running === undefined || phase !== 'running' || keeping.isReleased)
      throw new DialtoneError('wrong-state', `${name} is ${phase}: only a running machine moves`)
    if (departure !== undefined && departure.state !== 'failed' && departure.state !== 'prepared')
      throw new DialtoneError('in-use', `${name} is leaving already`)
    if (departure === undefined && image.isCapturing)
      throw new DialtoneError('in-use', `an image of ${name} is being captured, or a disk moved: try again in a moment`)
    image.isCapturing = true
    // A block job would keep its disks from being handed over.
    await stopTidying(keeping)
    keeping.departure = {
      machine: running,
      state: 'prepared',
      method: null,
      detail: '',
      progress: undefined,
      outgoing: undefined,
      mirrors: undefined,
      stoppedAtMs: null,
      wasServing: false,
      isCalledOff: false,
      mayRunThere: Promise.withResolvers(),
      over: Promise.resolve(),
    }
    const { plugged, ports } = await pluggedDisks(running)
    return { plugged: [...plugged], ports: [...ports], present: presentOf(record.machine), startedBy: record.startedBy }
  })
}

/** Begins to send it. Doing it twice is once. */
export function depart(keeping: Keeping, wish: DepartureWish): DepartureReport {
  const { departure } = keeping
  if (departure === undefined) throw new DialtoneError('wrong-state', 'its departure was not prepared here')
  if (departure.state === 'prepared') {
    departure.state = 'moving'
    departure.over = send(keeping, departure, wish).catch((error: unknown) => fail(keeping, departure, error))
  }
  return reportDeparture(keeping)
}

/** How far it is: as soon as it may run at the other end or is over, or when this time has passed. */
export async function followDeparture(keeping: Keeping, waitMs: number): Promise<DepartureReport> {
  const { departure, ports } = keeping
  const timer = new AbortController()
  const { over, mayRunThere } = departure ?? {}
  if (departure?.state === 'moving')
    await Promise.race([over, mayRunThere?.promise, ports.clock.sleep(waitMs, timer.signal)])
  timer.abort()
  return reportDeparture(keeping)
}

/**
 * Calls it off. One that was not handed over goes on at once. One that was stands still until nothing of it is anywhere else; then it goes
 * on, or is brought back if its process has died meanwhile.
 */
export async function abandonDeparture(keeping: Keeping, isAloneHere: boolean): Promise<void> {
  const { departure, ports } = keeping
  if (departure !== undefined && departure.state !== 'sent') {
    departure.isCalledOff = true
    await departure.mirrors?.cancel()
    await departure.outgoing
      ?.cancel()
      .catch((error: unknown) => ports.logger.warn('departure.not-cancelled', { vmId: keeping.vmId, error }))
    await departure.over
  }
  if (keeping.record.handedOverTo !== null && !isAloneHere) return
  await enqueue(keeping, async () => {
    if (keeping.isReleased) return
    const wasHandedOver = keeping.record.handedOverTo !== null
    if (wasHandedOver) await writeRecord(keeping, { handedOverTo: null })
    endDeparture(keeping)
    const { running } = keeping
    if (running !== undefined && !(wasHandedOver && (await isGivenAway(running)))) return goOn(keeping, running)
    if (running !== undefined) await endTorn(keeping, running)
    if (wasHandedOver && keeping.record.wanted === 'running')
      await recoverDead(keeping, 'its memory was lost while it was being moved')
  })
}

/** Some of its memory may be at the other end only: QEMU never lets it go on. */
async function isGivenAway(machine: RunningMachine): Promise<boolean> {
  return (await machine.arrivalState().catch(() => 'none' as const)) === 'torn'
}

export function reportDeparture({ departure }: Keeping): DepartureReport {
  const { progress } = departure ?? {}
  return {
    state: departure?.state ?? 'none',
    method: departure?.method ?? null,
    transferredBytes: progress?.transferredBytes ?? 0,
    remainingBytes: progress?.remainingBytes ?? 0,
    totalBytes: progress?.totalBytes ?? 0,
    dirtyBytesPerSecond: progress?.dirtyBytesPerSecond ?? 0,
    disks: departure?.mirrors?.progress() ?? null,
    stoppedAtMs: departure?.stoppedAtMs ?? null,
    wasServing: departure?.wasServing ?? false,
    detail: departure?.detail ?? '',
  }
}

async function send(keeping: Keeping, departure: Departure, wish: DepartureWish): Promise<void> {
  const { target, copied, canPostCopy } = wish
  const { ports, vmId } = keeping
  const { machine } = departure
  const { hardware, guest } = keeping.record.machine
  const { memoryMiB } = presentOf(keeping.record.machine)
  const { hasMemory } = await machine.plugged()
  const { version } = await ports.hypervisor.facts()
  const { accelerator } = hardware
  const chosen = chooseMethod({
    accelerator,
    qemuVersion: version,
    memoryMiB,
    hasPluggedMemory: hasMemory,
    unlogged: unloggedMemory(guest),
  })
  departure.method = chosen.method
  departure.detail = chosen.reason
  ports.logger.info('departure.began', { vmId, to: target.hostName, ...chosen })
  const mirrors = await mirrorDisks(keeping, machine, { target, copied })
  departure.mirrors = mirrors
  if (departure.isCalledOff) throw calledOff()
  await mirrors.ready
  const stream = await ports.openStreamTo(target, vmId)
  try {
    if (chosen.method === 'stop-and-copy') pauseWatch(keeping)
    const isLive = chosen.method === 'precopy'
    departure.outgoing = await machine.send({ pauseLimitMs: pauseLimitMs(0), isLive, canPostCopy })
    joinStreams(departure.outgoing.stream, stream)
    if (departure.isCalledOff) throw calledOff()
    const live = sendLive(keeping, departure, { outgoing: departure.outgoing, canPostCopy })
    await Promise.race([live, lossOf(stream), mirrors.broken])
    if (departure.isCalledOff) throw calledOff()
    await Promise.all([mirrors.finish(), enqueue(keeping, () => handOver(keeping, departure, target))])
    departure.stoppedAtMs = departure.outgoing.stoppedAtMs() ?? null
    await inTime(keeping, departure.outgoing.finish(), memoryMiB)
    departure.state = departure.method === 'post-copy' ? 'following' : 'sent'
    // It stands still until the leader knows: whatever else is to be found out comes afterwards.
    departure.mayRunThere.resolve()
    if (departure.state === 'following') await inTime(keeping, departure.outgoing.followed(), memoryMiB)
    departure.state = 'sent'
    departure.progress = await departure.outgoing.progress().catch(() => departure.progress)
  } finally {
    if (departure.state !== 'sent') stream.destroy()
  }
}

/** Until it stands still with little left: helped along when its guest is faster, given up when nothing moves. */
async function sendLive(
  { ports, record }: Keeping,
  departure: Departure,
  { outgoing, canPostCopy }: { readonly outgoing: OutgoingMachine; readonly canPostCopy: boolean },
): Promise<void> {
  const { memoryMiB } = record.machine
  const beganAtMs = ports.clock.bootTimeMs()
  let movedAtMs = beganAtMs
  let isAsked = departure.method === 'stop-and-copy'
  let isStopped = false
  let pass = { number: 0, leftBytes: 0, leftBeforeBytes: 0 }
  const stopped = outgoing.stopped.then(() => {
    isStopped = true
  })
  stopped.catch(() => undefined)
  for (;;) {
    const timer = new AbortController()
    await Promise.race([stopped, ports.clock.sleep(lookEveryMs, timer.signal)])
    timer.abort()
    if (isStopped) return
    const before = departure.progress?.transferredBytes ?? 0
    const progress = await outgoing.progress().catch(unlessBusy)
    const nowMs = ports.clock.bootTimeMs()
    if (progress !== undefined) departure.progress = progress
    const { transferredBytes, remainingBytes, passes } = departure.progress ?? noProgress
    if (progress === undefined || transferredBytes !== before) movedAtMs = nowMs
    if (passes !== pass.number) {
      pass = { number: passes, leftBytes: remainingBytes, leftBeforeBytes: pass.leftBytes }
      await outgoing.allowPause(pauseLimitMs(passes))
    }
    const elapsedMs = nowMs - beganAtMs
    const speed = { stalledMs: nowMs - movedAtMs, bytesPerSecond: (transferredBytes * 1000) / Math.max(1, elapsedMs) }
    const step = nextStep({ elapsedMs, ...speed, passes, ...pass, isStopped: isAsked }, { memoryMiB, canPostCopy })
    if (step === 'give-up')
      throw new DialtoneError('deadline-exceeded', 'nothing more of it reached the other host in time')
    if (step === 'go-on') continue
    isAsked = true
    departure.detail = outrun[step]
    departure.method = step === 'stop' ? 'stop-and-copy' : 'post-copy'
    const postCopy = () => outgoing.postCopy(followingBytesPerSecond(speed.bytesPerSecond))
    await (step === 'stop' ? outgoing.stop() : postCopy())
  }
}

const noProgress = { transferredBytes: 0, remainingBytes: 0, passes: 0 } as const

/** On a busy machine QEMU may answer late: that says nothing of its stream, of which the next answer tells. */
function unlessBusy(error: unknown): undefined {
  if (error instanceof DialtoneError && error.code === 'deadline-exceeded') return undefined
  throw error
}

const outrun = {
  stop: 'its guest changes its memory faster than it can be sent, so it stands still for the rest',
  'post-copy':
    'its guest changes its memory faster than it can be sent, so the rest follows while it runs at its destination',
} as const

/** Rejects when the other end closes: before all is sent nobody has a reason to. */
function lossOf(stream: Duplex): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  promise.catch(() => undefined)
  const lose = () => reject(new DialtoneError('hypervisor-failed', 'the process that waited for it is gone'))
  stream.once('end', lose)
  stream.once('close', lose)
  return promise
}

/** In turn with everything else that changes it: it still runs here by right, and from here on it does nothing by itself any more. */
async function handOver(keeping: Keeping, departure: Departure, target: DepartureTarget): Promise<void> {
  if (keeping.isReleased || keeping.running !== departure.machine || keeping.phase !== 'running')
    throw new DialtoneError('wrong-state', `it is ${keeping.phase} meanwhile`)
  departure.wasServing = keeping.service === 'correct'
  pauseWatch(keeping)
  await writeRecord(keeping, { handedOverTo: target.hostName })
  become(keeping, 'frozen', `stands still: ${target.hostName} takes it over`)
}

async function inTime({ ports }: Keeping, work: Promise<void>, memoryMiB: number): Promise<void> {
  const timer = new AbortController()
  const late = ports.clock.sleep(longestMoveMs(memoryMiB), timer.signal).then(() => {
    if (!timer.signal.aborted) throw new DialtoneError('deadline-exceeded', 'the other host did not take it over')
  })
  late.catch(() => undefined)
  await Promise.race([work, late]).finally(() => timer.abort())
}

async function fail(keeping: Keeping, departure: Departure, error: unknown): Promise<void> {
  const { ports, vmId } = keeping
  departure.detail = error instanceof Error ? error.message : String(error)
  ports.logger.warn('departure.failed', { vmId, error })
  await departure.mirrors?.cancel()
  await departure.outgoing?.cancel().catch(() => undefined)
  departure.state = 'failed'
  // QEMU lets go on what it could not send; but the other host may have all of it, so it waits for the leader's word.
  if (keeping.record.handedOverTo !== null)
    return departure.machine
      .pause()
      .catch((problem: unknown) => ports.logger.warn('departure.not-paused', { vmId, error: problem }))
  endDeparture(keeping, departure)
  await enqueue(keeping, () => goOn(keeping, departure.machine)).catch((problem: unknown) =>
    ports.logger.error('departure.not-undone', { vmId, error: problem }),
  )
}

/** Lets it run on here, if it is to run and may: what waits for a licence goes on with it. */
export async function goOn(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const { record, ports, phase } = keeping
  if (machine !== keeping.running || keeping.isReleased || (phase !== 'running' && phase !== 'frozen')) return
  const isLicensed =
    !record.machine.leased ||
    ports.licences.isLicensed(sharedStoragesOf(record.machine, ports), ports.clock.bootTimeMs())
  if (!isLicensed) return become(keeping, 'frozen', 'its move was called off, and it waits for a licence')
  // It may have been frozen meanwhile: the watchdog hears first that it needs its licence again.
  if (record.machine.leased) await guardMachine(keeping, false)
  await machine.resume()
  resumeWatch(keeping)
  become(keeping, 'running', '')
}

function endDeparture(keeping: Keeping, failed?: Departure): void {
  if (keeping.departure === undefined) return
  keeping.departure = failed
  keeping.image.isCapturing = false
}

function calledOff(): DialtoneError {
  return new DialtoneError('cancelled', 'its move was called off')
}
