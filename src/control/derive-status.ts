/** What people see of a VM, from what is stored and what its host says. Pure. */
import { type HostRecord, isHeard, type VmRecord } from '../model/cluster-state.ts'
import { proofReaches } from '../model/proof-reaches.ts'
import { isUnsettled } from '../model/rebuild/rebuilt-vm.ts'
import type { MachineReport, VmState, VmStatus } from '../model/vm.ts'

export type StatusFacts = {
  readonly host: HostRecord | undefined
  readonly report: MachineReport | undefined
  readonly hostHasReported: boolean
  /** Why it isn't started, when a decision said so. */
  readonly waitReason: string | undefined
  /** It waits for nothing but time, and then starts by itself. */
  readonly waitsForItsTurn: boolean
}

export type DerivedStatus = Omit<VmStatus, 'since'>

/** Undefined when nothing can be said yet: the stored status stays. */
export function deriveStatus(vm: VmRecord, facts: StatusFacts): DerivedStatus | undefined {
  const { spec, placement } = vm
  const base = {
    hostId: placement?.hostId ?? null,
    epoch: placement?.epoch ?? 0,
    incarnation: 0,
    pid: null,
    crashes: 0,
    recovery: null,
    hardware: null,
  }
  const of = (state: VmState, detail: string): DerivedStatus => ({ ...base, state, detail })
  if (spec.lifecycle !== 'live') return of(spec.lifecycle, 'a task works on it')
  if (isUnsettled(spec))
    return of('unknown', facts.waitReason ?? 'was entered anew, and it is not known yet where it is')
  if (placement === undefined)
    return spec.desired === 'stopped'
      ? of('stopped', spec.rebuilt === undefined ? 'was never started' : 'was entered anew, and runs nowhere')
      : of('waiting', facts.waitReason ?? 'waits for a host')
  if (facts.host === undefined) return of('unknown', 'its host is no longer part of the cluster')
  if (!isHeard(facts.host)) return silentStatus(vm, facts.host, { of, ...facts })
  if (!facts.hostHasReported) return undefined
  const { report } = facts
  // On its way it stands still here, or begins there, for a moment: that is no state that it is in.
  if (vm.migration !== undefined && isBetweenHosts(report, placement.epoch)) return undefined
  if (report !== undefined && report.epoch !== placement.epoch && !hasEnded(report)) {
    return of('unknown', `a life of it under epoch ${report.epoch} is still there and is being ended`)
  }
  if (report === undefined || report.epoch !== placement.epoch) {
    if (spec.desired === 'stopped') return of('stopped', 'stopped by order')
    return facts.waitReason === undefined ? of('starting', 'its start was ordered') : of('waiting', facts.waitReason)
  }
  // The end of a guest that switched itself off is stored together with its owner's wish, by a decision.
  if (
    report.phase === 'stopped' &&
    report.guestShutdown &&
    spec.desired !== 'stopped' &&
    vm.status?.state !== 'stopped'
  )
    return undefined
  const { incarnation, pid, crashes, recovery, hardware = null, isUntold } = report
  const untold = isUntold === true ? { isUntold } : {}
  const seen = { ...base, incarnation, pid, crashes, recovery, hardware, ...untold }
  if ((report.phase === 'failed' || report.phase === 'stopped') && spec.desired === 'stopped')
    return { ...seen, state: 'stopped', detail: report.detail }
  // It stays written down that it has stopped: that is the proof on which it may start elsewhere.
  if (report.phase === 'stopped') return { ...seen, state: 'stopped', detail: facts.waitReason ?? report.detail }
  const detail =
    report.phase === 'failed' && facts.waitReason !== undefined
      ? `${report.detail.replace(/\.$/, '')}; ${facts.waitReason}`
      : report.detail
  return { ...seen, state: report.phase, detail }
}

/** Nothing of it is left: what failed was reaped. */
function hasEnded({ phase }: MachineReport): boolean {
  return phase === 'stopped' || phase === 'failed'
}

function isBetweenHosts(report: MachineReport | undefined, epoch: number): boolean {
  return report?.epoch !== epoch || report.phase === 'frozen' || report.phase === 'starting'
}

function silentStatus(
  vm: VmRecord,
  host: HostRecord,
  {
    of,
    waitReason,
    waitsForItsTurn,
  }: { readonly of: (state: VmState, detail: string) => DerivedStatus } & Pick<
    StatusFacts,
    'waitReason' | 'waitsForItsTurn'
  >,
): DerivedStatus {
  const wasStopped = vm.status?.state === 'stopped' && vm.status.epoch === vm.placement?.epoch
  // That it had stopped is the proof on which it may start elsewhere: it stays written down until it does.
  if (wasStopped)
    return of('stopped', vm.spec.desired === 'stopped' ? (vm.status?.detail ?? '') : (waitReason ?? 'is to be started'))
  const proof = host.status.proof
  const isReached = proof !== null && proofReaches(vm, proof)
  if (!isReached)
    return of(
      'unknown',
      `${host.spec.name} is ${host.status.state}: nothing is known of the machine${waitReason === undefined ? '' : `; ${waitReason}`}`,
    )
  if (vm.spec.desired === 'stopped') return of('stopped', `${host.spec.name} is dead`)
  return of(
    waitsForItsTurn ? 'waiting' : 'lost',
    `${host.spec.name} is dead${waitReason === undefined ? '' : `; ${waitReason}`}`,
  )
}
