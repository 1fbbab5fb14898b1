/** The state of one machine on this host, and the few things that change it. Everything goes through one queue: no two changes overlap. */
import type { PresentHardware } from '../../model/growth.ts'
import type { VmId } from '../../model/ids.ts'
import type { RungAttempt } from '../../model/recovery/ladder.ts'
import type { MemoryImageManifest } from '../../model/recovery/memory-image.ts'
import type { FailureCause } from '../../model/recovery/recovery-policy.ts'
import { configurationOfOrder, type MachinePhase, type MachineReport, type ServiceState } from '../../model/vm.ts'
import type { DiskMirror } from '../hypervisor/disk-mirror.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import type { Arrival, Departure } from '../migration/moving.ts'
import type { ProbeChange, Prober } from '../probes/prober.ts'
import type { SpareKeeper } from '../recovery/spare-keeper.ts'
import type { Tidying } from '../recovery/tidying.ts'
import type { Hold, SnapshotWork } from '../snapshots/snapshot-work.ts'
import { disconnectCards } from './machine-cards.ts'
import type { MachinePorts } from './machine-ports.ts'
import type { MachineRecord } from './machine-record.ts'

/** How long processes may take to be gone after SIGKILL before somebody else has to act. */
export const reapWithinMs = 10_000

/** A failure that isn't cured yet, and what was tried. */
export type Failure = {
  readonly cause: FailureCause
  readonly detail: string
  /** It was injected on purpose: it doesn't count among the machine's failures. */
  readonly isDrill: boolean
  attempts: readonly RungAttempt[]
}

/** The memory image of a machine, and what it takes to use it. */
export type KeptImage = {
  manifest: MemoryImageManifest | undefined
  /** What its files occupy here. */
  sizeMiB: number
  /** What was written to its disks since. */
  changedMiB: number
  /** What is under way, or why there is none. */
  note: string
  isCapturing: boolean
}

/** Its disks return errors, and it is tried again from time to time. */
export type StorageTrouble = {
  /** How often its disks have returned an error since it last ran well. */
  errors: number
  waitMs: number
  /** By the clock that counts from boot. */
  retryAtMs: number
  /** It runs, and what comes of that is not known yet. */
  isBeingTried: boolean
  /** QEMU has confirmed that it stands still, and it has not been tried again since: no write of it is on its way. */
  isStill: boolean
  /** It failed while it was tried again: begins its recovery, once it goes on. */
  failure: (() => Promise<void>) | undefined
}

/** A machine is being given what it is to have; a newer wish, or another process, is another one. */
export type Fitting = { readonly machine: RunningMachine; hardware: PresentHardware | null }

export type Keeping = {
  readonly vmId: VmId
  readonly ports: MachinePorts
  /** The process that waits to take it over. */
  readonly spare: SpareKeeper
  readonly image: KeptImage
  prober: Prober | undefined
  /** Who hears what the prober sees. */
  onProbe: ((change: ProbeChange) => void) | undefined
  service: ServiceState
  /** When it was first seen to serve in this life, by the wall clock. */
  servesSince: Date | undefined
  failure: Failure | undefined
  /** When it failed lately, but for failures on purpose. */
  failureTimesMs: readonly number[]
  /** What was tried for earlier failures, oldest first. */
  earlierAttempts: readonly RungAttempt[]
  /** A failure was injected, and is not cured yet. */
  drill: { readonly injectedAt: Date } | undefined
  record: MachineRecord
  phase: MachinePhase
  detail: string
  guestShutdown: boolean
  running: RunningMachine | undefined
  crashes: number
  /** Its disks return errors. */
  storageTrouble: StorageTrouble | undefined
  /** It was to be frozen and has not confirmed that it stands still: it may do so all the same. */
  isStandingInDoubt: boolean
  /** The ladder's next rung is another host. */
  wantsOtherHost: boolean
  queue: Promise<unknown>
  /** What it has of what it is to have, as far as it was looked at in this life. */
  fitting: Fitting | undefined
  /** It was released and nothing has ordered it since: nothing of it starts here. */
  isReleased: boolean
  /** The release that is under way. */
  releasing: Promise<void> | undefined
  /** On the host's clock: from then on, nothing that a dead process of it had sent to a disk is still on its way. */
  landedAtMs: number
  /** The newest epoch it was ordered to start under, from the moment of the order on. */
  orderedEpoch: number
  /** A disk of it is copied to another storage of this host. */
  volumeMirror: { readonly mirror: DiskMirror; isReady(): boolean } | undefined
  /** It leaves this host while it runs. */
  departure: Departure | undefined
  /** It comes to this host while it runs. */
  arrival: Arrival | undefined
  /** The layers of its disks are being merged or removed. */
  tidying: Tidying | undefined
  snapshotWork: SnapshotWork | undefined
  /** It stands still with others, for their snapshots. */
  hold: Hold | undefined
}

/** Its first change waits until `after` is settled. */
export function beginKeeping(
  record: MachineRecord,
  ports: MachinePorts,
  from: { readonly spare: SpareKeeper; readonly after: Promise<unknown> },
): Keeping {
  return {
    vmId: record.machine.vmId,
    ports,
    spare: from.spare,
    image: { manifest: undefined, sizeMiB: 0, changedMiB: 0, note: '', isCapturing: false },
    prober: undefined,
    onProbe: undefined,
    service: 'unprobed',
    servesSince: undefined,
    failure: undefined,
    failureTimesMs: [],
    earlierAttempts: [],
    drill: undefined,
    record,
    phase: 'stopped',
    detail: '',
    guestShutdown: false,
    running: undefined,
    crashes: 0,
    storageTrouble: undefined,
    isStandingInDoubt: false,
    wantsOtherHost: false,
    queue: from.after,
    fitting: undefined,
    isReleased: false,
    releasing: undefined,
    landedAtMs: 0,
    orderedEpoch: record.epoch,
    volumeMirror: undefined,
    departure: undefined,
    arrival: undefined,
    tidying: undefined,
    snapshotWork: undefined,
    hold: undefined,
  }
}

/** True when nothing of it is on its way to a disk: it is frozen, and is not just being tried again. */
export function isStill({ phase, storageTrouble }: Keeping): boolean {
  return phase === 'frozen' && storageTrouble?.isStill !== false
}

/** Does the work after everything that was queued before it, whether that went well or not. */
export function enqueue<T>(keeping: Keeping, work: () => Promise<T>): Promise<T> {
  const result = keeping.queue.then(work, work)
  keeping.queue = result.catch(() => undefined)
  return result
}

/** Takes this phase, logs it, and has it reported at once. */
export function become(keeping: Keeping, phase: MachinePhase, detail: string): void {
  if (keeping.phase === phase && keeping.detail === detail) return
  const { vmId, record, ports } = keeping
  const { epoch, incarnation, machine } = record
  ports.logger.info('machine.phase', {
    vmId,
    name: machine.name,
    epoch,
    incarnation,
    from: keeping.phase,
    to: phase,
    detail,
  })
  // The next error that its disks return is a new one.
  if (phase === 'running') keeping.storageTrouble = undefined
  keeping.phase = phase
  keeping.detail = detail
  ports.reportSoon()
}

/** Writes the record down before anything is done by it; never again once the machine was released. */
export async function writeRecord(keeping: Keeping, changes: Partial<MachineRecord>): Promise<void> {
  keeping.record = { ...keeping.record, ...changes }
  if (!keeping.isReleased) await keeping.ports.records.write(keeping.record)
}

/** After the process is gone: whatever else is in its cgroup dies too, and only when all is reaped the watchdog stops guarding it. */
export async function tidyAfterDeath(keeping: Keeping): Promise<void> {
  const { vmId, ports, record } = keeping
  keeping.running?.detach()
  keeping.running = undefined
  await ports.cgroups.kill(vmId, reapWithinMs)
  await disconnectCards(record.machine, record.tapName, ports)
  await ports.records.removeProcessDirectory(record.process)
  await ports.cgroups.remove(vmId)
  ports.licences.unguard(vmId)
}

/** Ends a process whose memory is not whole and never will be. */
export async function endTorn(keeping: Keeping, machine: RunningMachine): Promise<void> {
  keeping.running = undefined
  await machine.kill(reapWithinMs)
  machine.detach()
}

/** Does the work if the machine runs and is still in this phase when its turn comes. */
export async function whenStill(
  keeping: Keeping,
  phase: MachinePhase,
  work: (machine: RunningMachine) => Promise<void>,
): Promise<void> {
  if (keeping.running !== undefined && keeping.phase === phase && !keeping.isReleased) await work(keeping.running)
}

export function reportOf(keeping: Keeping): MachineReport {
  const { record, image, spare } = keeping
  const { manifest } = image
  const localDisks = record.machine.disks
    .filter(({ storageId }) => !keeping.ports.isShared(storageId))
    .map(({ volumeId, storageId }) => ({ volumeId, storageId }))
  const isArriving = keeping.arrival?.epoch === record.epoch && !record.confirmed
  return {
    vmId: keeping.vmId,
    epoch: keeping.orderedEpoch,
    incarnation: record.incarnation,
    phase: keeping.phase,
    pid: keeping.running?.pid ?? null,
    detail: keeping.detail,
    guestShutdown: keeping.guestShutdown,
    leased: record.machine.leased,
    crashes: keeping.crashes,
    isHandedOver: record.handedOverTo !== null,
    ...(localDisks.length > 0 ? { localDisks } : {}),
    ...(isArriving ? { isArriving } : {}),
    ...(record.machine.isUntoldClone ? { isUntold: true } : {}),
    wantsOtherHost: keeping.wantsOtherHost,
    hardware:
      keeping.fitting !== undefined && keeping.fitting.machine === keeping.running ? keeping.fitting.hardware : null,
    recovery: {
      configuration: configurationOfOrder(record.machine),
      service: keeping.service,
      startedBy: record.startedBy,
      image:
        manifest === undefined
          ? null
          : {
              imageId: manifest.id,
              kind: manifest.kind,
              capturedAt: manifest.capturedAt,
              pauseMs: manifest.pauseMs,
              isLive: manifest.isLive,
              sizeMiB: image.sizeMiB,
              changedMiB: image.changedMiB,
            },
      spare: spare.state(),
      note: image.note === '' ? spare.note() : image.note,
    },
  }
}

/** Where its present process lives, for what goes beside it. */
export function lifeOf({ vmId, record }: Keeping) {
  return { vmId, epoch: record.epoch, incarnation: record.incarnation }
}

export function nowIso({ ports }: Keeping): string {
  return ports.clock.wallTime().toISOString()
}
