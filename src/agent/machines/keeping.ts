/** The state of one machine on this host, and the few things that change it. Everything goes through one queue: no two changes overlap. */
import type { VmId } from '../../model/ids.ts'
import type { MachinePhase, MachineReport } from '../../model/vm.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { cardOf } from './launch-machine.ts'
import type { MachinePorts } from './machine-ports.ts'
import type { MachineRecord } from './machine-record.ts'

/** How long processes may take to be gone after SIGKILL before somebody else has to act. */
export const reapWithinMs = 10_000

export type Keeping = {
  readonly vmId: VmId
  readonly ports: MachinePorts
  record: MachineRecord
  phase: MachinePhase
  detail: string
  guestShutdown: boolean
  running: RunningMachine | undefined
  crashTimesMs: readonly number[]
  crashes: number
  queue: Promise<unknown>
  /** It was released and nothing has ordered it since: nothing of it starts here. */
  isReleased: boolean
  /** The release that is under way. */
  releasing: Promise<void> | undefined
  /** The newest epoch it was ordered to start under, from the moment of the order on. */
  orderedEpoch: number
}

/** Its first change waits until `after` is settled. */
export function beginKeeping(record: MachineRecord, ports: MachinePorts, after: Promise<unknown>): Keeping {
  return {
    vmId: record.machine.vmId,
    ports,
    record,
    phase: 'stopped',
    detail: '',
    guestShutdown: false,
    running: undefined,
    crashTimesMs: [],
    crashes: 0,
    queue: after,
    isReleased: false,
    releasing: undefined,
    orderedEpoch: record.epoch,
  }
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
  await ports.network.disconnect({ vmId, tapName: cardOf(record.machine).tapName })
  await ports.cgroups.remove(vmId)
  ports.licences.unguard(vmId)
}

/** Does the work if the machine runs and is still in this phase when its turn comes. */
export async function whenStill(
  keeping: Keeping,
  phase: MachinePhase,
  work: (machine: RunningMachine) => Promise<void>,
): Promise<void> {
  if (keeping.running !== undefined && keeping.phase === phase && !keeping.isReleased) await work(keeping.running)
}

export function reportOf({
  vmId,
  record,
  phase,
  running,
  detail,
  guestShutdown,
  crashes,
  orderedEpoch,
}: Keeping): MachineReport {
  const { incarnation, machine } = record
  return {
    vmId,
    epoch: orderedEpoch,
    incarnation,
    phase,
    pid: running?.pid ?? null,
    detail,
    guestShutdown,
    leased: machine.leased,
    crashes,
  }
}
