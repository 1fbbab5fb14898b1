/**
 * A machine that comes to this host while it runs: a process waits for it, with its disks not yet claimed and its card unheard. It becomes
 * this host's, and runs, only by the leader's word, which follows the change of its owner in the store.
 */
import type { Duplex } from 'node:stream'
import type { CopiedDisk, Departing } from '../../model/agent-protocol/migration-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, VolumeId } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import type { IncomingMachine } from '../hypervisor/hypervisor.ts'
import {
  become,
  enqueue,
  type Keeping,
  lifeOf,
  reapWithinMs,
  tidyAfterDeath,
  writeRecord,
} from '../machines/keeping.ts'
import { assertLicensed, claimDisks, guard } from '../machines/launch-machine.ts'
import { plugCards, prepareTaps } from '../machines/machine-cards.ts'
import { beginLife, forgetFailures } from '../machines/machine-life.ts'
import { tapNameOf } from '../machines/machine-names.ts'
import { findImage } from '../recovery/keep-image.ts'
import { letImagesGo } from '../recovery/let-images-go.ts'
import { bootDisksOf, diskOf, openBootDisks, openDisk, shapeOf } from '../recovery/machine-shape.ts'
import { currentLayerOf } from '../recovery/take-instant.ts'

/** By the time of the leader's word all has come; this is only for what is still on its way through the processes. */
const loadedWithinMs = 5_000

export type ArrivalWish = {
  readonly sourceHostId: HostId
  readonly departing: Departing
  /** Disks that are filled from there. */
  readonly copied: readonly CopiedDisk[]
}

/** Resolves when a process waits for it. Asking again for the same epoch is the same. */
export async function expectArrival(
  keeping: Keeping,
  order: ArrivalWish & { readonly machine: MachineOrder; readonly epoch: number },
): Promise<void> {
  const { machine, epoch, sourceHostId, copied } = order
  if (keeping.arrival?.epoch !== epoch) {
    become(keeping, 'starting', 'a process waits for it to be sent here')
    const ready = enqueue(keeping, () => prepare(keeping, { ...order, machine }))
    ready.catch(() => undefined)
    const awaitedDisks = new Set(copied.map(({ volumeId }) => volumeId))
    keeping.arrival = { epoch, sourceHostId, ready, isStreamTaken: false, copied, awaitedDisks, resumedAtMs: null }
  }
  await keeping.arrival.ready
}

/** For the source, once. */
export async function takeStream({ arrival, record }: Keeping, callerId: HostId | undefined): Promise<Duplex> {
  if (arrival === undefined || callerId === undefined || arrival.sourceHostId !== callerId || arrival.isStreamTaken)
    throw new DialtoneError('forbidden', `${record.machine.name} is not expected from ${callerId ?? 'there'}`)
  const { stream } = await arrival.ready
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
  return (await arrival.ready).diskStream(volumeId)
}

/** It is this host's now: claims its disks, plugs its card in, and lets it run. Resolves with the moment since which it does. */
export function completeArrival(keeping: Keeping): Promise<number | null> {
  return enqueue(keeping, async () => {
    const { arrival, record } = keeping
    const isThere = keeping.running !== undefined && record.confirmed
    if (isThere) return arrival?.resumedAtMs ?? null
    if (arrival === undefined || keeping.isReleased || arrival.epoch !== record.epoch)
      throw new DialtoneError('wrong-state', `${record.machine.name} did not arrive here`)
    const beganAtMs = keeping.ports.clock.bootTimeMs()
    const { machine, loaded, resumedAtMs } = await arrival.ready
    await inTime(keeping, loaded)
    await takeOver(keeping)
    await machine.resume()
    const tookMs = keeping.ports.clock.bootTimeMs() - beganAtMs
    arrival.resumedAtMs = await Promise.race([resumedAtMs, keeping.ports.clock.sleep(1_000).then(() => null)])
    const isOfImages = bootDisksOf(record.machine).some((disk) =>
      arrival.copied.some(({ volumeId }) => volumeId === disk.volumeId),
    )
    if (isOfImages) await letImagesGo(keeping)
    await beginLife(keeping, { kind: 'running', machine, tookMs, before: keeping.record })
    return arrival.resumedAtMs
  })
}

async function prepare(
  keeping: Keeping,
  { machine, epoch, departing, copied }: ArrivalWish & { readonly machine: MachineOrder; readonly epoch: number },
): Promise<IncomingMachine> {
  const { ports, vmId } = keeping
  if (keeping.running !== undefined) await keeping.running.kill(reapWithinMs)
  await tidyAfterDeath(keeping)
  forgetFailures(keeping)
  try {
    const process = await ports.records.makeProcessDirectory(vmId, Buffer.from(ports.randomBytes(4)).toString('hex'))
    const usual = tapNameOf(machine.number)
    const tapName = keeping.spare.tapName() === usual ? tapNameOf(machine.number, 'b') : usual
    const record = { machine, epoch, incarnation: 0, confirmed: false, wanted: 'running', isPaused: false } as const
    const from = { process, tapName, startedBy: departing.startedBy, imageId: null, handedOverTo: null } as const
    await writeRecord(keeping, { ...record, ...from, layers: await layersOf(keeping, machine) })
    const cgroupDirectory = await ports.cgroups.make(vmId)
    await guard(machine, cgroupDirectory, ports)
    await prepareTaps(machine, tapName, ports)
    const shape = await shapeOf(
      machine,
      {
        disks: await openBootDisks(machine, ports),
        tapName,
        runDirectory: ports.records.processDirectory(process),
        cgroupDirectory,
        generationId: machine.generationId,
        life: lifeOf(keeping),
      },
      ports,
    )
    const plugged = await openPlugged(machine, departing, keeping)
    const volumeIds = copied.map(({ volumeId }) => volumeId)
    const incoming = await ports.hypervisor.receive({ ...shape, life: lifeOf(keeping) }, { plugged, copied: volumeIds })
    keeping.running = incoming.machine
    incoming.loaded.catch((error: unknown) => noteLost(keeping, epoch, error))
    await findImage(keeping)
    return incoming
  } catch (error) {
    await tidyAfterDeath(keeping)
    become(keeping, 'failed', error instanceof Error ? error.message : String(error))
    throw error
  }
}

/** What came before is not whole: it never runs, and the leader hears of it at once. */
function noteLost(keeping: Keeping, epoch: number, error: unknown): void {
  if (keeping.orderedEpoch !== epoch || keeping.record.confirmed || keeping.isReleased) return
  become(keeping, 'failed', error instanceof Error ? error.message : String(error))
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

async function openPlugged(machine: MachineOrder, { plugged }: Departing, { ports }: Keeping) {
  const disks = plugged.map((volumeId) => {
    const disk = diskOf(machine, volumeId)
    if (disk === undefined) throw new DialtoneError('not-found', `${machine.name} has no volume ${volumeId}`)
    return disk
  })
  return Promise.all(disks.map((disk) => openDisk(machine, disk, ports)))
}

async function inTime({ ports }: Keeping, loaded: Promise<void>): Promise<void> {
  const timer = new AbortController()
  const late = ports.clock.sleep(loadedWithinMs, timer.signal).then(() => {
    if (!timer.signal.aborted) throw new DialtoneError('deadline-exceeded', 'it has not arrived as a whole')
  })
  late.catch(() => undefined)
  await Promise.race([loaded, late]).finally(() => timer.abort())
}
