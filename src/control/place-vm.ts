/** Chooses a host for a VM, or says for every host why not. Pure: same cluster, same answer. */
import { type ClusterState, type HostRecord, isLeased, type VmRecord } from '../model/cluster-state.ts'
import { keepsGroups } from '../model/firewall.ts'
import { refuseSupport } from '../model/guest.ts'
import type { HostId } from '../model/ids.ts'
import { ownersOf } from '../model/migration/owners-of.ts'
import type { VmSpec } from '../model/vm.ts'
import { refuseNetworks } from './networks/refuse-host.ts'
import { type HostOccupants, isWanted, occupantsOf } from './placement/host-occupants.ts'
import { refuseCpu } from './placement/judge-cpu.ts'
import { refuseByRules, scorePreferences } from './placement/judge-rules.ts'
import { type CopyWish, planDiskCopies } from './placement/plan-disk-copies.ts'

/** What a machine's process needs beside the guest's memory. */
export const processOverheadMiB = 48
/** vCPUs per processor of a host, at the most. */
const maximumCpuOvercommit = 8

export type HostVerdict = {
  readonly hostId: HostId
  readonly hostName: string
  readonly fits: boolean
  /** Why not; or, for a host that fits, what speaks for it. */
  readonly reason: string
  /** Higher is better; 0 for a host that doesn't fit. */
  readonly score: number
}

export type PlacementChoice =
  | {
      readonly kind: 'placed'
      readonly hostId: HostId
      readonly reason: string
      readonly verdicts: readonly HostVerdict[]
    }
  | { readonly kind: 'no-host-fits'; readonly verdicts: readonly HostVerdict[] }

export type PlacementWishes = {
  /** Stays there if it fits: no reason to move. */
  readonly preferred?: HostId | undefined
  /** Nothing else will do. */
  readonly required?: HostId | undefined
  /** Hosts that are out of the question now, with the reason. */
  readonly excluded?: ReadonlyMap<HostId, string> | undefined
  /** It takes over from the host where it is placed now: what is kept free for that host's machines is kept for it too. */
  readonly takesOver?: boolean | undefined
  /** It has failed: what is kept free for failures that have not happened is not kept from it. */
  readonly recovers?: boolean | undefined
  /** Its disks may go with it, to storage that the host has. */
  readonly bringsDisks?: CopyWish | undefined
}

export function placeVm(cluster: ClusterState, vm: VmSpec, wishes: PlacementWishes = {}): PlacementChoice {
  const question = { cluster, wishes, occupants: occupantsOf(cluster) }
  const verdicts = [...cluster.hosts.values()].map((host) => judgeHost(host, vm, question))
  const best = verdicts.filter((verdict) => verdict.fits).sort(byScoreThenName)[0]
  if (best === undefined) return { kind: 'no-host-fits', verdicts }
  return { kind: 'placed', hostId: best.hostId, reason: `${best.hostName} fits best: ${best.reason}`, verdicts }
}

/** One sentence for people: what each host lacks. */
export function describeVerdicts(verdicts: readonly HostVerdict[]): string {
  if (verdicts.length === 0) return 'no host has joined'
  return verdicts.map((verdict) => `${verdict.hostName}: ${verdict.reason}`).join('; ')
}

type Question = {
  readonly cluster: ClusterState
  readonly wishes: PlacementWishes
  readonly occupants: HostOccupants
}

function judgeHost(host: HostRecord, vm: VmSpec, question: Question): HostVerdict {
  const { id: hostId, name: hostName } = host.spec
  const obstacle = findObstacle(host, vm, question)
  if (obstacle !== undefined) return { hostId, hostName, fits: false, reason: obstacle, score: 0 }
  const used = takenOf(hostId, vm, question)
  const freeShare = (host.status.memoryMiB - used.memoryMiB - vm.memoryMiB) / Math.max(1, host.status.memoryMiB)
  const bonus = question.wishes.preferred === hostId ? 10 : 0
  const preferences = scorePreferences(host, vm, question)
  const score = bonus + preferences.points + Math.max(0, freeShare) + 1 / (1 + used.machines)
  const reason = `${host.status.memoryMiB - used.memoryMiB} MiB free, ${used.machines} machine${used.machines === 1 ? '' : 's'} there${preferences.reasons.map((one) => `, ${one}`).join('')}${bonus > 0 ? ', and it was there before' : ''}`
  return { hostId, hostName, fits: true, reason, score }
}

/** The first thing that speaks against the host, in a sentence; undefined when it fits. */
function findObstacle(host: HostRecord, vm: VmSpec, question: Question): string | undefined {
  const { cluster, wishes } = question
  const { spec, status } = host
  const excluded = wishes.excluded?.get(spec.id)
  if (excluded !== undefined) return excluded
  if (wishes.required !== undefined && wishes.required !== spec.id) return 'another host was asked for'
  if (status.state !== 'online') return `it is ${status.state}`
  if (spec.maintenance !== null) return 'it is in maintenance'
  const noDisks = refuseByDisks(host, vm, question)
  if (noDisks !== undefined) return noDisks
  if (status.accelerator !== vm.hardware.accelerator)
    return `it runs guests by ${status.accelerator ?? 'nothing'}, the machine is pinned to ${vm.hardware.accelerator}`
  if (isOlderVersion(status.qemuVersion ?? '0', vm.hardware.qemuVersion)) {
    return `its QEMU ${status.qemuVersion ?? '?'} is older than the machine's ${vm.hardware.qemuVersion}`
  }
  const otherCpu = refuseCpu(status, vm.hardware)
  if (otherCpu !== undefined) return otherCpu
  if (isLeased(vm, cluster.storages) && status.armed === 'none' && spec.fence === null) {
    return 'it has neither an armed watchdog nor a power fence, so nothing could prove a machine with HA dead there'
  }
  if (vm.securityGroupIds.length > 0 && !keepsGroups(status.firewall))
    return `it can't keep the machine's security groups: ${status.firewallDetail || 'it has no firewall'}`
  const lacking = refuseSupport(vm.guest, status.guestSupport)
  if (lacking !== undefined) return lacking
  return refuseNetworks(host, vm, cluster) ?? refuseByRules(host, vm, question) ?? findShortage(host, vm, question)
}

function refuseByDisks({ spec, status }: HostRecord, vm: VmSpec, { cluster, wishes }: Question): string | undefined {
  if (wishes.bringsDisks !== undefined) {
    const plan = planDiskCopies({ spec, status }, vm, { cluster, wish: wishes.bringsDisks })
    return plan.kind === 'refused' ? plan.reason : undefined
  }
  if (vm.boundToHostId !== null && vm.boundToHostId !== spec.id) return "the machine's disk is local to another host"
  const missing = vm.disks.find((disk) => !status.storageIds.includes(disk.storageId))
  if (missing === undefined) return undefined
  return `it doesn't have the storage ${cluster.storages.get(missing.storageId)?.name ?? missing.storageId}`
}

function findShortage({ spec, status }: HostRecord, vm: VmSpec, question: Question): string | undefined {
  const used = takenOf(spec.id, vm, question)
  const neededMiB = vm.memoryMiB + processOverheadMiB
  const freeMiB = status.memoryMiB - used.memoryMiB
  if (neededMiB > freeMiB)
    return `needs ${neededMiB} MiB with overhead, ${Math.max(0, freeMiB)} of ${status.memoryMiB} MiB are free`
  const maximumCpus = status.cpus * maximumCpuOvercommit
  if (vm.cpus > status.cpus) return `wants ${vm.cpus} vCPUs, the host has ${status.cpus} processors`
  if (used.cpus + vm.cpus > maximumCpus)
    return `its ${status.cpus} processors carry at most ${maximumCpus} vCPUs, ${used.cpus} are taken`
  return undefined
}

export type HostUsage = { readonly memoryMiB: number; readonly cpus: number; readonly machines: number }

/** What the other machines that are placed there and wanted running take. */
export function usageOf(hostId: HostId, except: VmSpec | undefined, cluster: ClusterState): HostUsage {
  const there = [...cluster.vms.values()].filter((vm) => ownersOf(vm).includes(hostId) && isWanted(vm))
  return sumUsage(there, except)
}

function sumUsage(there: readonly VmRecord[], except: VmSpec | undefined): HostUsage {
  const usage = { memoryMiB: 0, cpus: 0, machines: 0 }
  for (const { spec, status } of there) {
    if (spec.id === except?.id) continue
    // What a guest was asked to give back is not free before it has done so.
    const { memoryMiB, cpus } = status?.hardware ?? spec
    usage.memoryMiB += Math.max(spec.memoryMiB, memoryMiB) + processOverheadMiB
    usage.cpus += Math.max(spec.cpus, cpus)
    usage.machines += 1
  }
  return usage
}

/** What is used there, and what is kept free for machines that it would take over. */
function takenOf(hostId: HostId, vm: VmSpec, question: Question): HostUsage {
  const used = sumUsage(question.occupants.placedOn(hostId), vm)
  return { ...used, memoryMiB: used.memoryMiB + reservedFor(hostId, vm, question) }
}

/**
 * Memory that is kept free there for machines that it would take over. One host is expected to fail at a time: reserved is what the host
 * whose loss would bring most here would bring.
 */
function reservedFor(hostId: HostId, vm: VmSpec, { cluster, wishes, occupants }: Question): number {
  const byFailingHost = new Map<HostId, number>()
  for (const { spec, placement } of occupants.guardedBy(hostId)) {
    if (placement === undefined || spec.id === vm.id) continue
    const before = byFailingHost.get(placement.hostId) ?? 0
    byFailingHost.set(placement.hostId, before + spec.memoryMiB + processOverheadMiB)
  }
  const failingHost = wishes.takesOver === true ? cluster.vms.get(vm.id)?.placement?.hostId : undefined
  if (failingHost === undefined) return Math.max(0, ...byFailingHost.values())
  // What others would bring is not needed beside what it brings itself, only instead of it.
  const besideIt = byFailingHost.get(failingHost) ?? 0
  if (wishes.recovers === true) return besideIt
  const insteadOfIt = Math.max(0, ...byFailingHost.values()) - vm.memoryMiB - processOverheadMiB
  return Math.max(besideIt, insteadOfIt)
}

function byScoreThenName(left: HostVerdict, right: HostVerdict): number {
  return right.score - left.score || left.hostName.localeCompare(right.hostName)
}

function isOlderVersion(version: string, than: string): boolean {
  const left = version.split('.').map(Number)
  const right = than.split('.').map(Number)
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}
