import { formatInstant } from '../model/age.ts'
import type { HostView, StorageView, VmView } from '../model/api/views.ts'
import { formatSize } from '../model/byte-size.ts'
import { describePending } from './pending-lines.ts'
import { vmStateCell } from './state-cells.ts'
import type { Cell } from './text-table.ts'

export type VmSurroundings = {
  readonly storages: readonly StorageView[]
  readonly hosts: readonly HostView[]
  readonly nowMs: number
}

type Entry = readonly [label: string, value: Cell]

/** Everything that an administrator wants to know about a VM, in the order of the questions: how is it, where, since when and why, what is it. */
export function describeVm(vm: VmView, surroundings: VmSurroundings): Entry[] {
  return [
    ['Name', vm.name],
    ['Id', vm.id],
    ...notedOf(vm),
    ...stateOf(vm, surroundings),
    ...placementOf(vm, surroundings),
    ...moveOf(vm, surroundings),
    ...vm.nics.map(({ number, networkName, address, address6, macAddress }): Entry => {
      const addresses = address6 === null ? address : `${address} and ${address6}`
      return [number === 0 ? 'Address' : `Card ${number}`, `${addresses} in ${networkName}, MAC ${macAddress}`]
    }),
    ['Security groups', vm.securityGroups.length === 0 ? 'none: it is open' : vm.securityGroups.join(', ')],
    ...sizeOf(vm),
    ...vm.disks.map((disk, index): Entry => {
      const storage = surroundings.storages.find(({ id }) => id === disk.storageId)?.name ?? disk.storageId
      return [
        index === 0 ? 'Root disk' : `Disk ${index}`,
        `${formatSize(disk.sizeMiB)} ${disk.format} on ${storage} (${disk.volumeId})${disk.isDetached === true ? ', taken out' : ''}`,
      ]
    }),
    ['Template', `${vm.templateName}, version ${vm.templateVersion}`],
    ...guestOf(vm),
    [
      'Hardware',
      `${vm.hardware.machineType}, ${vm.hardware.cpuModel}, ${vm.hardware.accelerator}, pinned with QEMU ${vm.hardware.qemuVersion}`,
    ],
    ...kernelArgumentsOf(vm),
    ['Generation id', vm.generationId],
    ['HA', vm.ha ? 'yes: restarted elsewhere when its host is proven dead' : 'no'],
    ...recoveryOf(vm, surroundings),
    ['Autostart', vm.autostart ? `yes, order ${vm.startOrder}` : 'no'],
    ['Bound to', boundTo(vm, surroundings.hosts)],
    ['Created', formatInstant(vm.createdAt, surroundings.nowMs)],
    ['Revision', String(vm.revision)],
  ]
}

function notedOf({ tags, note }: VmView): Entry[] {
  return [
    ...(tags.length === 0 ? [] : [['Tags', tags.join(', ')] as const]),
    ...(note === '' ? [] : [['Note', note] as const]),
  ]
}

function sizeOf({ cpus, memoryMiB, growth, limits, pending }: VmView): Entry[] {
  const room =
    growth === null ? ['', ''] : [`, up to ${growth.maximumCpus}`, `, up to ${formatSize(growth.maximumMemoryMiB)}`]
  const limited = [
    ...(limits.cpuPercent === null ? [] : [`${limits.cpuPercent} % of a processor`]),
    ...(limits.cpuWeight === null ? [] : [`processor weight ${limits.cpuWeight}`]),
    ...(limits.diskIops === null ? [] : [`${limits.diskIops} operations a second on its disks`]),
    ...(limits.diskMiBPerSecond === null ? [] : [`${limits.diskMiBPerSecond} MiB/s on its disks`]),
    ...(limits.networkMbitPerSecond === null ? [] : [`${limits.networkMbitPerSecond} Mbit/s on each card and way`]),
  ]
  return [
    ['CPUs', `${cpus}${room[0]}`],
    ['Memory', `${formatSize(memoryMiB)}${room[1]}`],
    ...(limited.length === 0 ? [] : [['Limits', limited.join(', ')] as const]),
    ...pending.map((one): Entry => ['Pending', describePending(one)]),
  ]
}

function kernelArgumentsOf({ guest, extraCommandLine }: VmView): Entry[] {
  if (guest.boot !== 'kernel') return []
  const further = extraCommandLine === '' ? '' : ` and ${extraCommandLine}`
  return [['Kernel arguments', `those of the template${further}`]]
}

function guestOf({ guest, discs, cloudInit }: VmView): Entry[] {
  const told =
    cloudInit === null
      ? 'nothing'
      : [
          ...(cloudInit.hasUserData ? ['user-data'] : []),
          `${cloudInit.sshKeys} SSH key${cloudInit.sshKeys === 1 ? '' : 's'}`,
          ...(cloudInit.hasNetworkConfig ? ['a network configuration'] : []),
        ].join(', ')
  if (guest.boot === 'kernel') return cloudInit === null ? [] : [['Told at first boot', told]]
  const has = [
    `${guest.boot.toUpperCase()}${guest.secureBoot ? ' with secure boot' : ''}`,
    `${guest.devices} devices`,
    ...(guest.tpm ? ['a TPM'] : []),
    ...(guest.display ? ['a display'] : []),
  ]
  return [
    ['Guest', `${guest.os}, ${has.join(', ')}`],
    ['Drives', discs.map((disc) => disc ?? 'empty').join(', ') || 'empty'],
    ['Told at first boot', told],
  ]
}

function moveOf({ migration }: VmView, { hosts, nowMs }: VmSurroundings): Entry[] {
  if (migration === null) return []
  const to = hosts.find(({ id }) => id === migration.destinationHostId)?.name ?? migration.destinationHostId
  return [
    ['Moves to', `${to}, since ${formatInstant(migration.startedAt, nowMs)}: dialtone task watch ${migration.taskId}`],
  ]
}

function recoveryOf(
  { recovery, probe, status, standby, standbyHostName, standbyReport, recoverySentence }: VmView,
  { nowMs }: VmSurroundings,
): Entry[] {
  const ready = status.recovery
  const every = recovery.mode === 'checkpoint' ? `, every ${recovery.everySeconds} s, ${recovery.keep} kept` : ''
  const image = ready?.image ?? null
  const imageLine =
    image === null
      ? ready?.note || 'none'
      : `${image.imageId}, ${formatSize(image.sizeMiB)}, captured ${formatInstant(image.capturedAt, nowMs)} in ${image.pauseMs.toFixed(1)} ms${image.isLive ? '' : ' (the machine stood still)'}`
  const entries: Entry[] = [
    ['Recovery', `${recovery.mode}${every}: ${recoverySentence}`],
    ['Service', probe === null ? 'not probed' : `${ready?.service ?? 'unknown'} (${describeProbe(probe)})`],
  ]
  if (recovery.mode === 'boot') return entries
  return [
    ...entries,
    ['Image', imageLine],
    ['Spare process', ready?.spare ?? 'none'],
    [
      'Standby',
      standby === null
        ? 'none'
        : `${standbyHostName}, image ${standby.imageId} ${standbyReport?.state ?? 'ordered'}${standbyReport?.detail ? `: ${standbyReport.detail}` : ''}`,
    ],
  ]
}

function describeProbe({ check, everyMs, maxLatencyMs }: NonNullable<VmView['probe']>): string {
  const rhythm = `every ${everyMs} ms, at most ${maxLatencyMs} ms`
  switch (check.kind) {
    case 'tcp':
      return `TCP port ${check.port}, ${rhythm}`
    case 'http':
      return `HTTP ${check.status} at :${check.port}${check.path}${check.body === undefined ? '' : ` with "${check.body}"`}, ${rhythm}`
    case 'exec':
      return `${check.command.join(' ')} in the guest, ${rhythm}`
  }
}

function stateOf({ status, desired, lifecycle }: VmView, { nowMs }: VmSurroundings): Entry[] {
  const wish = lifecycle === 'live' ? desired : `${desired} (${lifecycle})`
  return [
    ['State', vmStateCell(status.state)],
    ['Reason', status.detail === '' ? '-' : status.detail],
    ['Since', formatInstant(status.since, nowMs)],
    ['Wanted', wish],
    [
      'Crashes',
      status.crashes === 0 ? 'none since its start was ordered' : `${status.crashes} since its start was ordered`,
    ],
  ]
}

function placementOf(vm: VmView, { hosts, nowMs }: VmSurroundings): Entry[] {
  const { placement, status } = vm
  const process = status.pid === null ? [] : [['Process', String(status.pid)] as const]
  if (placement === null) return [['Host', 'none: not placed'], ...process]
  const { lastRecovery } = placement
  const from = hosts.find(({ id }) => id === lastRecovery?.fromHostId)?.name ?? lastRecovery?.fromHostId ?? ''
  return [
    ['Host', vm.hostName ?? placement.hostId],
    ['Placed', formatInstant(placement.placedAt, nowMs)],
    ['Placed because', placement.reason],
    ['Epoch', `${placement.epoch}, incarnation ${status.incarnation}, term ${placement.term}, ${placement.session}`],
    ...process,
    ['Last recovery', lastRecovery === null ? 'none' : `from ${from}, ${formatInstant(lastRecovery.at, nowMs)}`],
    ['Proof', vm.proofSentence ?? 'none was needed'],
  ]
}

function boundTo({ boundToHostId }: VmView, hosts: readonly HostView[]): string {
  if (boundToHostId === null) return 'no host: every disk is on shared storage'
  const name = hosts.find(({ id }) => id === boundToHostId)?.name ?? boundToHostId
  return `${name}: a disk is on its local storage`
}
