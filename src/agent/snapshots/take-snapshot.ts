/**
 * Takes a snapshot of a machine that has a process here. The instant goes in turn with everything else that changes the machine; what is left
 * to be written of its memory doesn't hold it up. Known by its id: asked for again, it is the same one, also after the agent has died.
 */
import type { SnapshotReport } from '../../model/agent-protocol/snapshot-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { hasStateBesideDisk } from '../../model/guest.ts'
import type { Snapshot, SnapshotWish } from '../../model/snapshots/snapshot.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { enqueue, type Keeping, lifeOf, whenStill } from '../machines/keeping.ts'
import { bakeImage, type FrozenMachine, freezeWithDisks, pluggedDisks } from '../recovery/capture-image.ts'
import { noteLayers } from '../recovery/note-layers.ts'
import { requireResident } from '../recovery/require-resident.ts'
import { inNewProcess, refuseRawDisks, takeInstant } from '../recovery/take-instant.ts'
import { stopTidying } from '../recovery/tidy-layers.ts'
import { whileFrozen } from './freeze-guest.ts'
import { letGoOfHold } from './hold-machine.ts'
import { describeSnapshot, findSnapshot, keepGuestState, storeSnapshot } from './snapshot-files.ts'
import type { SnapshotWork } from './snapshot-work.ts'

/** Begins it unless it was begun; answers when it is whole or this time has passed. Throws what it failed with, once. */
export async function takeSnapshot(keeping: Keeping, wish: SnapshotWish, waitMs: number): Promise<SnapshotReport> {
  const work = keeping.snapshotWork?.id === wish.id ? keeping.snapshotWork : await begin(keeping, wish)
  const timer = new AbortController()
  await Promise.race([work.over.catch(() => undefined), keeping.ports.clock.sleep(waitMs, timer.signal)])
  timer.abort()
  if (work.outcome === undefined) return { snapshot: null, detail: work.detail }
  if (keeping.snapshotWork === work) keeping.snapshotWork = undefined
  return { snapshot: await work.over, detail: work.detail }
}

async function begin(keeping: Keeping, wish: SnapshotWish): Promise<SnapshotWork> {
  const { record, snapshotWork, image, ports } = keeping
  const { name } = record.machine
  // One that an earlier order, or an earlier agent, has seen to its end.
  const present = await findSnapshot(record.machine, wish, ports)
  if (present !== undefined) return { id: wish.id, detail: '', over: Promise.resolve(present), outcome: 'taken' }
  if (snapshotWork !== undefined && snapshotWork.outcome === undefined)
    throw new DialtoneError('in-use', `another snapshot of ${name} is being taken`)
  if (image.isCapturing) throw new DialtoneError('in-use', `${name} is being captured or moved: try again in a moment`)
  image.isCapturing = true
  const { promise: over, resolve, reject } = Promise.withResolvers<Snapshot>()
  const begun: { -readonly [Key in keyof SnapshotWork]: SnapshotWork[Key] } = {
    id: wish.id,
    detail: 'takes the instant',
    over,
    outcome: undefined,
  }
  const tell = (detail: string) => {
    begun.detail = detail
  }
  over.catch((error: unknown) => ports.logger.warn('snapshot.not-taken', { vmId: keeping.vmId, error }))
  void take(keeping, wish, tell)
    .finally(() => {
      image.isCapturing = false
    })
    .then(
      (snapshot) => {
        begun.outcome = 'taken'
        resolve(snapshot)
      },
      (error: unknown) => {
        begun.outcome = 'failed'
        reject(error)
      },
    )
  keeping.snapshotWork = begun
  return begun
}

async function take(keeping: Keeping, wish: SnapshotWish, tell: (detail: string) => void): Promise<Snapshot> {
  try {
    const snapshot = await (wish.kind === 'memory' ? takeWithMemory(keeping, wish, tell) : takeDisks(keeping, wish))
    await storeSnapshot(snapshot, keeping.ports)
    const { id: snapshotId, consistency, pauseMs } = snapshot
    keeping.ports.logger.info('snapshot.taken', { vmId: keeping.vmId, snapshotId, consistency, pauseMs })
    return snapshot
  } finally {
    await letGoOfHold(keeping)
  }
}

async function takeWithMemory(keeping: Keeping, wish: SnapshotWish, tell: (detail: string) => void): Promise<Snapshot> {
  const { ports, record, running } = keeping
  const { machine } = record
  // Only a guest that can be told to draw new random numbers may go on from its memory again.
  if (running !== undefined && keeping.phase === 'running' && keeping.hold === undefined) await requireResident(running)
  const task = { machine, life: lifeOf(keeping), kind: 'snapshot' } as const
  const taken = await inTurn(keeping, wish, async (present, wasRunning) => {
    const isHeld = keeping.hold !== undefined
    const from = { machine, running: present, disks: machine.disks, ...(await pluggedDisks(present)), isHeld }
    return { frozen: await freezeWithDisks(from, ports), wasRunning }
  })
  tell('writes down its memory')
  const { frozen } = taken
  const image = await bakeImage(task, openOnly(frozen), ports)
  return describeSnapshot(machine, wish, {
    disks: frozen.disks,
    consistency: 'memory',
    imageId: image.id,
    wasRunning: taken.wasRunning,
    pauseMs: image.pauseMs,
    takenAt: image.capturedAt,
  })
}

/** A disk that the machine does not have open at the moment is part of the snapshot, and not of its memory. */
function openOnly(frozen: FrozenMachine): FrozenMachine {
  return { ...frozen, disks: frozen.disks.filter(({ isOpen }) => isOpen) }
}

async function takeDisks(keeping: Keeping, wish: SnapshotWish): Promise<Snapshot> {
  const { ports, record } = keeping
  const { machine } = record
  return inTurn(keeping, wish, async (running, wasRunning) => {
    refuseRawDisks(machine, machine.disks)
    const standsStill = wasRunning && hasStateBesideDisk(machine.guest)
    const freeze = wasRunning && keeping.hold === undefined ? wish.freeze : neverOr(wish)
    const { disks, taken } = await inNewProcess(machine, ports, async (process) => {
      const from = { machine, running, disks: machine.disks, process }
      // Nothing but the instant itself while the guest holds its writes: the new layers are there already.
      const instant = await takeInstant(from, ports, async (overlays) => {
        const beganAtMs = ports.clock.bootTimeMs()
        const { result: takenAt, isFrozen } = await whileFrozen(running, freeze, () =>
          whileStill(keeping, running, async () => {
            await running.addOverlays(overlays)
            const at = ports.clock.wallTime().toISOString()
            await keepGuestState(machine, wish, ports)
            return at
          }),
        )
        return { takenAt, isFrozen, tookMs: ports.clock.bootTimeMs() - beganAtMs }
      })
      await ports.records.removeProcessDirectory(process)
      return instant
    })
    const { takenAt, isFrozen, tookMs } = taken
    const pauseMs = isFrozen || standsStill ? Math.round(tookMs) : 0
    const consistency = isFrozen ? 'guest-frozen' : 'crash'
    return describeSnapshot(machine, wish, { disks, consistency, imageId: null, wasRunning, pauseMs, takenAt })
  })
}

/** Files beside the disk have no layers: they are copied, of the same instant only while nothing writes to either. */
async function whileStill<Result>(
  keeping: Keeping,
  running: RunningMachine,
  work: () => Promise<Result>,
): Promise<Result> {
  const mayWrite = keeping.phase === 'running' && keeping.hold === undefined
  if (!mayWrite || !hasStateBesideDisk(keeping.record.machine.guest)) return work()
  await running.pause()
  try {
    return await work()
  } finally {
    await whenStill(keeping, 'running', (machine) => machine.resume())
  }
}

/** A guest that stands still can't put its file systems in order. */
function neverOr({ freeze }: SnapshotWish): 'never' {
  if (freeze === 'required')
    throw new DialtoneError('wrong-state', 'it stands still: its guest can put nothing in order before a snapshot')
  return 'never'
}

function inTurn<Result>(
  keeping: Keeping,
  wish: SnapshotWish,
  work: (running: RunningMachine, wasRunning: boolean) => Promise<Result>,
): Promise<Result> {
  return enqueue(keeping, async () => {
    await stopTidying(keeping)
    const { phase, running, record } = keeping
    const isHere = phase === 'running' || phase === 'paused'
    // One that waits for its licence must not be let run, and its disks may be another host's.
    if (running === undefined || !isHere || keeping.isReleased)
      throw new DialtoneError(
        'wrong-state',
        `${record.machine.name} is ${phase}: a snapshot needs it running or paused`,
      )
    if (wish.setId !== null && phase === 'running' && keeping.hold === undefined)
      throw new DialtoneError('wrong-state', `${record.machine.name} was not held still until its turn came`)
    try {
      return await work(running, phase === 'running')
    } finally {
      // It goes on when this turn is over, and not when all is written down.
      void letGoOfHold(keeping)
      await noteLayers(keeping)
    }
  })
}
