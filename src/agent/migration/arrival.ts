/**
 * A machine that comes to this host while it runs: a process waits for it, with its disks not yet claimed and its card unheard. It becomes
 * this host's, and runs, only by the leader's word, which follows the change of its owner in the store.
 */
import type { Duplex } from 'node:stream'
import type { ArrivalEnd, CopiedDisk, Departing } from '../../model/agent-protocol/migration-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, VolumeId } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import { presentOf } from '../../model/present-shape.ts'
import type { IncomingMachine, RunningMachine } from '../hypervisor/hypervisor.ts'
import {
  become,
  endTorn,
  enqueue,
  type Keeping,
  lifeOf,
  reapWithinMs,
  tidyAfterDeath,
  writeRecord,
} from '../machines/keeping.ts'
import { assertLicensed, claimDisks, guard } from '../machines/launch-machine.ts'
import { plugCards, prepareTaps } from '../machines/machine-cards.ts'
import { beginLife, forgetFailures, inBackground, recoverDead } from '../machines/machine-life.ts'
import { tapNameOf } from '../machines/machine-names.ts'
import { findImage } from '../recovery/keep-image.ts'
import { letImagesGo } from '../recovery/let-images-go.ts'
import { bootDisksOf, diskOf, openDisk, openGuestState, shapeOf, splitPlugged } from '../recovery/machine-shape.ts'
import { currentLayerOf } from '../recovery/take-instant.ts'
import type { Arrival, WaitingMachine } from './moving.ts'

/** By the time of the leader's word all has come; this is only for what is still on its way through the processes. */
const loadedWithinMs = 5_000

/** Between the last word of a process and the news of its end. */
const endIsToldWithinMs = 250

export type ArrivalWish = {
  readonly sourceHostId: HostId
  readonly departing: Departing
  /** Disks that are filled from there. */
  readonly copied: readonly CopiedDisk[]
}

/** Resolves when a process waits for it, and tells what that one can. Asking again for the same epoch is the same. */
export async function expectArrival(
  keeping: Keeping,
  order: ArrivalWish & { readonly machine: MachineOrder; readonly epoch: number },
): Promise<{ readonly canPostCopy: boolean }> {
  const { machine, epoch, sourceHostId, copied } = order
  if (keeping.arrival?.epoch !== epoch) {
    become(keeping, 'starting', 'a process waits for it to be sent here')
    const ready = enqueue(keeping, () => prepare(keeping, { ...order, machine }))
    ready.catch(() => undefined)
    const awaitedDisks = new Set(copied.map(({ volumeId }) => volumeId))
    keeping.arrival = { epoch, sourceHostId, ready, isStreamTaken: false, copied, awaitedDisks, end: null }
  }
  const { canPostCopy } = await keeping.arrival.ready
  return { canPostCopy }
}

/** For the source, once. */
export async function takeStream({ arrival, record }: Keeping, callerId: HostId | undefined): Promise<Duplex> {
  if (arrival === undefined || callerId === undefined || arrival.sourceHostId !== callerId || arrival.isStreamTaken)
    throw new DialtoneError('forbidden', `${record.machine.name} is not expected from ${callerId ?? 'there'}`)
  const { stream } = await arrival.ready
  if (stream === undefined) throw new DialtoneError('forbidden', `${record.machine.name} has come already`)
  arrival.isStreamTaken = true
  return stream
}

/** One of its disks, for the source, once. */
export async function takeDiskStream(
  { arrival, record }: Keeping,
  { callerId, volumeId }: { readonly callerId: HostId | undefined; readonly volumeId: VolumeId },
): Promise<Duplex> {
  const isExpected = arrival !== undefined && callerId !== undefined && arrival.sourceHostId === callerId
  if (!isExpected || !arrival.awaitedDisks.delete(volumeId))
    throw new DialtoneError('forbidden', `no disk of ${record.machine.name} is expected from ${callerId ?? 'there'}`)
  const { diskStream } = await arrival.ready
  if (diskStream === undefined) throw new DialtoneError('forbidden', `${record.machine.name} has come already`)
  return diskStream(volumeId)
}

/** What an earlier agent was sent as a whole: the leader's word is waited for, since it may be this host's already. */
export async function adoptArrival(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const { ports, record } = keeping
  keeping.running = machine
  await guard(record.machine, ports.cgroups.directory(keeping.vmId), ports)
  const resumed = Promise.withResolvers<number>()
  machine.onEvent((event) => {
    if (event.kind === 'state' && event.state === 'running') resumed.resolve(ports.clock.wallTime().getTime())
  })
  const isHere = { loaded: Promise.resolve(), whole: Promise.resolve(), resumedAtMs: resumed.promise }
  const ready = Promise.resolve({ machine, canPostCopy: false, ...isHere })
  const disks = { copied: [], awaitedDisks: new Set<VolumeId>() }
  keeping.arrival = { epoch: record.epoch, sourceHostId: null, ready, isStreamTaken: true, ...disks, end: null }
  become(keeping, 'starting', 'all of it has come, and it waits for the leader’s word')
}

/**
 * It is this host's now: claims its disks, plugs its card in, and lets it run. Where its memory did not come through after all, it is
 * recovered like any machine whose process has died: nobody else may run it.
 */
export async function completeArrival(keeping: Keeping): Promise<ArrivalEnd> {
  const end = await enqueue(keeping, async () => {
    const { arrival, record } = keeping
    if (arrival?.end) return arrival.end
    // An earlier agent has let it run. One whose claim was refused is written down as confirmed, and has not run.
    const isThere = arrival === undefined && keeping.running !== undefined && record.confirmed
    if (isThere && keeping.phase !== 'starting') return { resumedAtMs: null, isWhole: true, lost: null }
    if (arrival === undefined || keeping.isReleased || arrival.epoch !== record.epoch)
      throw new DialtoneError('wrong-state', `${record.machine.name} did not arrive here`)
    arrival.end = await letRun(keeping, await arrival.ready)
    return arrival.end
  })
  return { ...end, answeredAtMs: keeping.servesSince?.getTime() ?? null }
}

async function letRun(keeping: Keeping, arriving: WaitingMachine): Promise<NonNullable<Arrival['end']>> {
  const { machine, loaded, resumedAtMs } = arriving
  const { clock } = keeping.ports
  const beganAtMs = clock.bootTimeMs()
  const why = await inTime(keeping, loaded).then(() => null, wordsOf)
  await takeOver(keeping)
  if (why !== null) return forgetImagesOfCopied(keeping).then(() => bringBack(keeping, machine, why))
  try {
    await machine.resume()
  } catch (error) {
    if (!(await hasEnded(keeping, machine))) throw error
    await forgetImagesOfCopied(keeping)
    return bringBack(keeping, machine, (await machine.exited).detail)
  }
  const tookMs = clock.bootTimeMs() - beganAtMs
  followRest(keeping, arriving)
  const resumed = await Promise.race([resumedAtMs, clock.sleep(1_000).then(() => null)])
  await forgetImagesOfCopied(keeping)
  await beginLife(keeping, { kind: 'running', machine, tookMs, before: keeping.record })
  return { resumedAtMs: resumed, isWhole: false, lost: null }
}

/** Images belong to the disks that they were captured with: a copy is another one. */
async function forgetImagesOfCopied(keeping: Keeping): Promise<void> {
  const copied = keeping.arrival?.copied ?? []
  const isOfImages = bootDisksOf(keeping.record.machine).some((disk) =>
    copied.some(({ volumeId }) => volumeId === disk.volumeId),
  )
  if (isOfImages) await letImagesGo(keeping)
}

/** Until all of its memory is here no image of it can be captured; if the rest never comes, it ends here and is recovered. */
function followRest(keeping: Keeping, { machine, whole }: WaitingMachine): void {
  keeping.image.isCapturing = true
  const note = (changes: Partial<NonNullable<Arrival['end']>>) => {
    keeping.image.isCapturing = false
    const { arrival } = keeping
    if (arrival?.end) arrival.end = { ...arrival.end, ...changes }
  }
  const settled = whole.then(
    () => enqueue(keeping, async () => note({ isWhole: true })),
    (error: unknown) => enqueue(keeping, () => giveUpRest(keeping, machine, wordsOf(error))).then(() => note({})),
  )
  inBackground(keeping, () => settled)
}

/** What of it has not come will not come any more. Nothing is done about one that is whole. */
export function abandonArrival(keeping: Keeping, why: string): Promise<void> {
  return enqueue(keeping, async () => {
    const { arrival, running } = keeping
    if (arrival?.end?.isWhole === false && running !== undefined) await giveUpRest(keeping, running, why)
  })
}

async function giveUpRest(keeping: Keeping, machine: RunningMachine, why: string): Promise<void> {
  const { arrival } = keeping
  if (machine !== keeping.running || keeping.isReleased || !arrival?.end || arrival.end.lost !== null) return
  arrival.end = await bringBack(keeping, machine, why)
}

async function bringBack(keeping: Keeping, machine: RunningMachine, why: string): Promise<NonNullable<Arrival['end']>> {
  await endTorn(keeping, machine)
  keeping.image.isCapturing = false
  await recoverDead(keeping, `its memory was lost on its way: ${why}`)
  return { resumedAtMs: null, isWhole: false, lost: why }
}

async function hasEnded({ ports }: Keeping, { exited }: RunningMachine): Promise<boolean> {
  return Promise.race([exited.then(() => true), ports.clock.sleep(endIsToldWithinMs).then(() => false)])
}

async function prepare(
  keeping: Keeping,
  { departing, epoch, copied, ...order }: ArrivalWish & { readonly machine: MachineOrder; readonly epoch: number },
): Promise<IncomingMachine> {
  const { ports, vmId } = keeping
  // Its process is here what it is there; what it has yet to get or give comes when it runs here.
  const machine = { ...order.machine, present: departing.present ?? null }
  if (keeping.running !== undefined) await keeping.running.kill(reapWithinMs)
  await tidyAfterDeath(keeping)
  forgetFailures(keeping)
  try {
    const process = await ports.records.makeProcessDirectory(vmId, Buffer.from(ports.randomBytes(4)).toString('hex'))
    const usual = tapNameOf(machine.number)
    const tapName = keeping.spare.tapName() === usual ? tapNameOf(machine.number, 'b') : usual
    // The next agent would not know which disks came with it.
    const isArriving = copied.length === 0
    const record = { machine, epoch, incarnation: 0, confirmed: false, isArriving } as const
    const wish = { wanted: 'running', isPaused: false } as const
    const from = { process, tapName, startedBy: departing.startedBy, imageId: null, handedOverTo: null } as const
    await writeRecord(keeping, { ...record, ...wish, ...from, layers: await layersOf(keeping, machine) })
    const cgroupDirectory = await ports.cgroups.make(vmId)
    await guard(machine, cgroupDirectory, ports)
    await prepareTaps(machine, tapName, ports)
    const { disks, plugged } = await openDisks(machine, departing, keeping)
    const shape = await shapeOf(
      machine,
      {
        disks,
        guestState: await openGuestState(machine, ports),
        tapName,
        runDirectory: ports.records.processDirectory(process),
        cgroupDirectory,
        generationId: machine.generationId,
        life: lifeOf(keeping),
      },
      ports,
    )
    const volumeIds = copied.map(({ volumeId }) => volumeId)
    const incoming = await ports.hypervisor.receive({ ...shape, life: lifeOf(keeping) }, { plugged, copied: volumeIds })
    keeping.running = incoming.machine
    incoming.loaded.catch((error: unknown) => noteLost(keeping, epoch, error))
    await findImage(keeping)
    return incoming
  } catch (error) {
    await tidyAfterDeath(keeping)
    become(keeping, 'failed', wordsOf(error))
    throw error
  }
}

/** What came before is not whole: it never runs, and the leader hears of it at once. */
function noteLost(keeping: Keeping, epoch: number, error: unknown): void {
  if (keeping.orderedEpoch !== epoch || keeping.record.confirmed || keeping.isReleased) return
  become(keeping, 'failed', wordsOf(error))
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

async function takeOver(keeping: Keeping): Promise<void> {
  const { ports, record } = keeping
  const { machine, tapName } = record
  assertLicensed(machine, ports)
  await Promise.all([
    claimDisks(machine, lifeOf(keeping), ports),
    plugCards(machine, tapName, ports),
    // An agent that dies from here on leaves a machine that is this host's: the next one lets it run.
    writeRecord(keeping, { confirmed: true }),
  ])
  // What no lease can kill waits for a word that is newer than its claim, as at every ordered start.
  if (!machine.leased && !(await ports.confirmStart(lifeOf(keeping))))
    throw new DialtoneError('stale-epoch', `the leader did not confirm that ${machine.name} is this host's`)
  assertLicensed(machine, ports)
}

async function layersOf({ ports }: Keeping, machine: MachineOrder): Promise<Keeping['record']['layers']> {
  return Promise.all(
    bootDisksOf(machine).map(async (disk) => ({
      volumeId: disk.volumeId,
      layerId: disk.format === 'qcow2' ? await currentLayerOf(disk, ports) : null,
    })),
  )
}

/** Those that it began with, and those that it has got since. */
async function openDisks(machine: MachineOrder, departing: Departing, { ports }: Keeping) {
  const open = (volumeId: VolumeId) => {
    const disk = diskOf(machine, volumeId)
    if (disk === undefined) throw new DialtoneError('not-found', `${machine.name} has no volume ${volumeId}`)
    return openDisk(machine, disk, ports)
  }
  const { plugged } = departing
  const began = presentOf(machine).volumeIds.filter((volumeId) => !plugged.includes(volumeId))
  const disks = await Promise.all([...began, ...plugged].map(open))
  return splitPlugged(disks, plugged, departing.ports)
}

async function inTime({ ports }: Keeping, loaded: Promise<void>): Promise<void> {
  const timer = new AbortController()
  const late = ports.clock.sleep(loadedWithinMs, timer.signal).then(() => {
    if (!timer.signal.aborted) throw new DialtoneError('deadline-exceeded', 'it has not arrived as a whole')
  })
  late.catch(() => undefined)
  await Promise.race([loaded, late]).finally(() => timer.abort())
}
