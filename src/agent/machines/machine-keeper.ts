/**
 * The life of one machine on this host: started by order, restarted on the spot when its process dies, frozen and killed by its licence,
 * stopped or released by order.
 */
import type { Duplex } from 'node:stream'
import type { ArrivalEnd, Departing, DepartureReport } from '../../model/agent-protocol/migration-orders.ts'
import type { Reverted, SnapshotReport, TidyReport } from '../../model/agent-protocol/snapshot-orders.ts'
import type { VolumeMirror } from '../../model/agent-protocol/volume-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, SnapshotId, VolumeId } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import type { InjectedFailure } from '../../model/recovery/drill.ts'
import type { MemoryImageManifest } from '../../model/recovery/memory-image.ts'
import type { Rung } from '../../model/recovery/recovery-policy.ts'
import type { SnapshotWish } from '../../model/snapshots/snapshot.ts'
import type { MachineReport } from '../../model/vm.ts'
import { type LinkWish, linkRunningDisks } from '../clones/link-disks.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import {
  type ArrivalWish,
  abandonArrival,
  adoptArrival,
  completeArrival,
  expectArrival,
  takeDiskStream,
  takeStream,
} from '../migration/arrival.ts'
import {
  abandonDeparture,
  type DepartureWish,
  depart,
  followDeparture,
  prepareDeparture,
} from '../migration/departure.ts'
import { holdVolume, keepVolume, mirrorVolume, switchVolume, type VolumeTarget } from '../migration/switch-volume.ts'
import { captureForClones } from '../recovery/capture-for-clones.ts'
import { injectFailure } from '../recovery/inject-failure.ts'
import { keepSpare } from '../recovery/keep-image.ts'
import { captureRunning } from '../recovery/serve-after-start.ts'
import type { SpareKeeper } from '../recovery/spare-keeper.ts'
import { pauseWatch, resumeWatch } from '../recovery/watch-service.ts'
import { followTidying } from '../snapshots/follow-tidying.ts'
import { holdMachine } from '../snapshots/hold-machine.ts'
import { type RevertWish, revertMachine } from '../snapshots/revert-machine.ts'
import { takeSnapshot } from '../snapshots/take-snapshot.ts'
import { adopt, believeWhenItAnswers } from './adopt-machine.ts'
import { applyLicence } from './apply-licence.ts'
import { changeDisc, type DiscChange } from './change-disc.ts'
import { asWanted, keepFitting } from './fit-hardware.ts'
import {
  become,
  beginKeeping,
  enqueue,
  type Keeping,
  nowIso,
  reportOf,
  tidyAfterDeath,
  whenStill,
  writeRecord,
} from './keeping.ts'
import { changeOver, inBackground, recoverByHand, recoverDead, release, startByOrder } from './machine-life.ts'
import type { MachinePorts } from './machine-ports.ts'
import type { MachineRecord } from './machine-record.ts'

export type MachineKeeper = {
  report(): MachineReport
  record(): MachineRecord
  /** The newest epoch it was ordered to start under, from the moment of the order on. */
  epoch(): number
  /** True when it was released and nothing has ordered it since. */
  isReleased(): boolean
  /** A start under this epoch was ordered. Answers at once; the report tells how it goes. */
  start(machine: MachineOrder, epoch: number): void
  /** Takes over a process that an earlier agent started. */
  adopt(running: RunningMachine): Promise<void>
  /** Takes over a process to which a machine came under an earlier agent, and that waits for the leader's word. */
  adoptArrival(running: RunningMachine): Promise<void>
  /** Starts it again under the next incarnation: its process died while no agent was there. */
  restartOnTheSpot(): void
  shutDown(): Promise<void>
  /** Kills it and forgets it durably; resolves when it is reaped and nothing of it is left here. */
  /** `onlyIfStill`: throws `wrong-state` when a write of it may be on its way. */
  release(detail: string, options?: { readonly onlyIfStill: boolean }): Promise<void>
  pause(): Promise<void>
  resume(): Promise<void>
  reset(): Promise<void>
  running(): RunningMachine | undefined
  /** Looks at its licence and freezes, thaws or kills it. */
  applyLicence(): Promise<void>
  /** What it is to have from now on, how it recovers, and what its service is. */
  configure(wanted: MachineOrder): Promise<void>
  /** Puts a disc into one of its drives, or takes it out; see the hypervisor's port. */
  changeDisc(change: DiscChange): Promise<void>
  /** Captures a new memory image of it; resolves when it is whole. */
  capture(kind: 'recovery' | 'template'): Promise<MemoryImageManifest>
  /** Ends it as it runs and brings it back by this rung. Answers when that has begun. */
  recover(rung: Rung): Promise<void>
  /** Makes it fail, for a drill. */
  injectFailure(failure: InjectedFailure): Promise<void>
  takeSnapshot(wish: SnapshotWish, waitMs: number): Promise<SnapshotReport>
  /** Resolves when this snapshot is not being taken any more. */
  endSnapshot(snapshotId: SnapshotId): Promise<void>
  /** Stands still for at most so long; 0: goes on. */
  hold(forMs: number): Promise<boolean>
  /** New volumes begin with layers of its disks. */
  linkDisks(wish: LinkWish): Promise<void>
  revert(wish: RevertWish): Promise<Reverted>
  /** Merges the layers that nothing needs. */
  tidy(how: { readonly waitMs: number; readonly isCalledOff: boolean }): Promise<TidyReport>
  mirrorVolume(wish: VolumeTarget & { readonly isOnSameBase: boolean }): Promise<VolumeMirror>
  holdVolume(target: VolumeTarget): Promise<void>
  switchVolume(target: VolumeTarget): Promise<void>
  keepVolume(target: VolumeTarget): Promise<void>
  prepareDeparture(): Promise<Departing>
  depart(wish: DepartureWish): DepartureReport
  followDeparture(waitMs: number): Promise<DepartureReport>
  abandonDeparture(isAloneHere: boolean): Promise<void>
  /** Under a new epoch; resolves when a process waits for it, and tells what that one can. */
  expectArrival(
    order: ArrivalWish & { readonly machine: MachineOrder; readonly epoch: number },
  ): Promise<{ readonly canPostCopy: boolean }>
  takeStream(callerId: HostId | undefined): Promise<Duplex>
  takeDiskStream(from: { readonly callerId: HostId | undefined; readonly volumeId: VolumeId }): Promise<Duplex>
  completeArrival(): Promise<ArrivalEnd>
  abandonArrival(why: string): Promise<void>
}

/**
 * `after`: what was still going on here about this machine; the keeper changes nothing before that is settled. `spare`: keeps the process
 * that waits to take it over.
 */
export function createMachineKeeper(
  record: MachineRecord,
  ports: MachinePorts,
  { spare, after = Promise.resolve() }: { readonly spare: SpareKeeper; readonly after?: Promise<unknown> },
): MachineKeeper {
  const keeping = beginKeeping(record, ports, { spare, after })
  let isApplying = false
  return {
    report: () => reportOf(keeping),
    record: () => keeping.record,
    epoch: () => keeping.orderedEpoch,
    isReleased: () => keeping.isReleased,
    running: () => keeping.running,
    start: (machine, epoch) => start(keeping, machine, epoch),
    adopt: (running) => enqueue(keeping, () => adopt(keeping, running)),
    adoptArrival: (running) => enqueue(keeping, () => adoptArrival(keeping, running)),
    restartOnTheSpot: () =>
      inBackground(keeping, () => enqueue(keeping, () => recoverDead(keeping, 'it was dead when the agent came back'))),
    shutDown: () => enqueue(keeping, () => shutDown(keeping)),
    release: (detail, options) => release(keeping, detail, options),
    pause: () => enqueue(keeping, () => whenStill(keeping, 'running', (machine) => pause(keeping, machine))),
    resume: () => enqueue(keeping, () => whenStill(keeping, 'paused', (machine) => resume(keeping, machine))),
    reset: () => enqueue(keeping, () => reset(keeping)),
    configure: (wanted) => enqueue(keeping, () => configure(keeping, wanted)),
    changeDisc: (change) => enqueue(keeping, () => changeDisc(keeping, change)),
    capture: (kind) => (kind === 'template' ? captureForClones(keeping) : captureRunning(keeping)),
    recover: async (rung) => recoverByHand(keeping, rung),
    injectFailure: (failure) => injectFailure(keeping, failure),
    takeSnapshot: (wish, waitMs) => takeSnapshot(keeping, wish, waitMs),
    endSnapshot: async (snapshotId) => {
      if (keeping.snapshotWork?.id === snapshotId) await keeping.snapshotWork.over.catch(() => undefined)
    },
    hold: (forMs) => holdMachine(keeping, forMs),
    linkDisks: (wish) => linkRunningDisks(keeping, wish),
    revert: (wish) => revertMachine(keeping, wish),
    tidy: (how) => followTidying(keeping, how),
    mirrorVolume: (wish) => mirrorVolume(keeping, wish),
    holdVolume: (target) => holdVolume(keeping, target),
    switchVolume: (target) => switchVolume(keeping, target),
    keepVolume: (target) => keepVolume(keeping, target),
    prepareDeparture: () => prepareDeparture(keeping),
    depart: (wish) => depart(keeping, wish),
    followDeparture: (waitMs) => followDeparture(keeping, waitMs),
    abandonDeparture: (isAloneHere) => abandonDeparture(keeping, isAloneHere),
    expectArrival: (order) => {
      beginOrder(keeping, order.epoch)
      return expectArrival(keeping, order)
    },
    takeStream: (callerId) => takeStream(keeping, callerId),
    takeDiskStream: (from) => takeDiskStream(keeping, from),
    completeArrival: () => completeArrival(keeping),
    abandonArrival: (why) => abandonArrival(keeping, why),
    async applyLicence() {
      if (isApplying) return
      isApplying = true
      await applyLicence(keeping).finally(() => {
        isApplying = false
      })
    },
  }
}

function start(keeping: Keeping, machine: MachineOrder, epoch: number): void {
  beginOrder(keeping, epoch)
  become(keeping, 'starting', 'ordered')
  inBackground(keeping, () => enqueue(keeping, () => startByOrder(keeping, machine, epoch)))
}

function beginOrder(keeping: Keeping, epoch: number): void {
  keeping.orderedEpoch = epoch
  keeping.isReleased = false
  // What is released from here on is this order, not the life before it.
  keeping.releasing = undefined
}

async function configure(keeping: Keeping, wanted: MachineOrder): Promise<void> {
  const { record, running } = keeping
  const { recovery, probe } = record.machine
  await writeRecord(keeping, { machine: asWanted(record.machine, wanted, running !== undefined) })
  await keeping.spare.drop()
  // The data volumes of one that recovers warm come when it is seen to serve.
  const watched = (machine: MachineOrder) =>
    JSON.stringify([machine.recovery, machine.probe, machine.recovery.mode === 'warm' ? machine.disks.length : 0])
  const isWatchedAnew = watched({ ...record.machine, recovery, probe }) !== watched(wanted)
  if (running !== undefined && keeping.phase === 'running') {
    if (isWatchedAnew) await changeOver(keeping, running)
    else keepSpare(keeping)
    keepFitting(keeping, running)
  }
  keeping.ports.reportSoon()
}

async function shutDown(keeping: Keeping): Promise<void> {
  await writeRecord(keeping, { wanted: 'stopped' })
  pauseWatch(keeping)
  const { running } = keeping
  if (running === undefined) {
    // The leader takes a stop as a proof: also what an earlier attempt could not reap has to be gone.
    await tidyAfterDeath(keeping)
    // Prepared for a recovery that nobody wants any more.
    await keeping.spare.drop()
    return become(keeping, 'stopped', 'stopped by order')
  }
  if (keeping.phase === 'paused') await running.resume()
  await running.pressPowerButton()
  // A frozen guest can't listen: the button is pressed again when it thaws.
  if (keeping.phase !== 'frozen') become(keeping, 'stopping', 'its power button was pressed')
}

async function pause(keeping: Keeping, machine: RunningMachine): Promise<void> {
  pauseWatch(keeping)
  await writeRecord(keeping, { isPaused: true })
  try {
    await machine.pause()
  } catch (error) {
    inBackground(keeping, () => settlePause(keeping, machine))
    throw error
  }
  keeping.ports.journal.note({ kind: 'planned', vmId: keeping.vmId, at: nowIso(keeping), what: 'paused' })
  become(keeping, 'paused', 'paused by order')
}

/** It did not say that it stands still; it may do so all the same, then or later. */
async function settlePause(keeping: Keeping, machine: RunningMachine): Promise<void> {
  await believeWhenItAnswers(keeping, machine)
  await enqueue(keeping, () =>
    whenStill(keeping, 'running', async (present) => {
      if (present !== machine || !keeping.record.isPaused) return
      await writeRecord(keeping, { isPaused: false })
      resumeWatch(keeping)
    }),
  )
}

async function resume(keeping: Keeping, machine: RunningMachine): Promise<void> {
  await writeRecord(keeping, { isPaused: false })
  await machine.resume()
  keeping.ports.journal.note({ kind: 'planned', vmId: keeping.vmId, at: nowIso(keeping), what: 'resumed' })
  resumeWatch(keeping)
  become(keeping, 'running', '')
}

async function reset({ running, record }: Keeping): Promise<void> {
  if (running === undefined)
    throw new DialtoneError('wrong-state', `${record.machine.name} has no process here that could be reset`)
  await running.reset()
}
