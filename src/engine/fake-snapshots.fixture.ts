/** The agents' side of snapshots, as fake hosts keep it: which layer each volume is written to, and what lies beside it. */
import type { Clock } from '../model/clock.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { HostSpec } from '../model/host.ts'
import { imageIdSchema, type LayerId, layerIdSchema, type SnapshotId, type VmId, type VolumeId } from '../model/ids.ts'
import type { MachineOrder, OrderAuthority } from '../model/machine-order.ts'
import type { Snapshot, SnapshotWish } from '../model/snapshots/snapshot.ts'
import type { AgentPort } from './agent-port.ts'
import { type FakeHost, isWriting, type Machine } from './fake-host.fixture.ts'

export type FakeLayers = {
  /** What each volume is written to. */
  readonly current: Map<VolumeId, LayerId>
  readonly snapshots: Map<SnapshotId, Snapshot>
  /** By VM: the snapshot that it went on from last, and by which task. */
  readonly reverts: Map<VmId, { readonly taskId: string; readonly snapshotId: SnapshotId }>
  /** By volume: what it shares with another one. */
  readonly links: Map<VolumeId, { readonly fromVolumeId: VolumeId; readonly layerId: LayerId | null }>
  /** Disks that were written to while a machine ran on them, in sentences. Has to stay empty. */
  readonly violations: string[]
  /** What a program in a guest ends with. */
  runs: (command: readonly string[]) => { readonly exitCode: number; readonly output: string }
}

export function createFakeLayers(): FakeLayers {
  return {
    current: new Map(),
    snapshots: new Map(),
    reverts: new Map(),
    links: new Map(),
    violations: [],
    runs: () => ({ exitCode: 0, output: '' }),
  }
}

export type SnapshotFakes = {
  readonly layers: FakeLayers
  readonly clock: Clock
  reach<T>(
    to: { readonly spec: HostSpec; readonly call: keyof AgentPort; readonly authority: OrderAuthority },
    effect: (host: FakeHost) => T,
  ): Promise<T>
  held(host: FakeHost, vmId: VmId, epoch: number): Machine
}

type SnapshotCalls =
  | 'snapshotMachine'
  | 'holdMachine'
  | 'snapshotDisks'
  | 'removeSnapshot'
  | 'tidyMachine'
  | 'tidyDisks'
  | 'revertMachine'
  | 'revertDisks'
  | 'runInGuest'
  | 'measureMachine'

export function fakeSnapshots({ layers, clock, reach, held }: SnapshotFakes): Pick<AgentPort, SnapshotCalls> {
  let made = 0
  const id = (prefix: string) => `${prefix}-${String((made += 1)).padStart(8, '0')}`
  const take = (machine: MachineOrder, wish: SnapshotWish, wasRunning: boolean): Snapshot => {
    const present = layers.snapshots.get(wish.id)
    if (present !== undefined) return present
    const { sizesMiB, freeze: _freeze, ...known } = wish
    const { name, cpus, memoryMiB, hardware, templateVersion } = machine
    const snapshot: Snapshot = {
      formatVersion: 1,
      ...known,
      vmId: machine.vmId,
      consistency: wish.kind === 'memory' ? 'memory' : wasRunning ? 'crash' : 'stopped',
      disks: machine.disks.map(({ volumeId, storageId }, index) => ({
        ...{ volumeId, storageId, layerId: layers.current.get(volumeId) ?? null, sizeMiB: sizesMiB[index] ?? 1 },
      })),
      imageId: wish.kind === 'memory' ? imageIdSchema.parse(id('img')) : null,
      machine: { name, cpus, memoryMiB, hardware, templateVersion },
      wasRunning,
      takenAt: clock.wallTime().toISOString(),
      pauseMs: 0,
    }
    for (const { volumeId } of machine.disks) layers.current.set(volumeId, layerIdSchema.parse(id('layer')))
    layers.snapshots.set(snapshot.id, snapshot)
    return snapshot
  }
  const refuseOpen = (host: FakeHost, { vmId, name }: MachineOrder) => {
    if (isWriting(host.machines.get(vmId))) layers.violations.push(`${name} runs while its closed disks are worked on`)
  }
  const requireRunning = (machine: Machine) => {
    if (machine.phase !== 'running' && machine.phase !== 'paused')
      throw new DialtoneError('wrong-state', `${machine.order.name} is ${machine.phase}`)
    return machine
  }
  return {
    snapshotMachine: (spec, { authority, vmId, epoch, wish }) =>
      reach({ spec, call: 'snapshotMachine', authority }, (host) => {
        const machine = requireRunning(held(host, vmId, epoch))
        return { snapshot: take(machine.order, wish, true), detail: '' }
      }),
    holdMachine: (spec, { authority, vmId, epoch }) =>
      reach({ spec, call: 'holdMachine', authority }, (host) => ({
        isHeld: requireRunning(held(host, vmId, epoch)) !== undefined,
      })),
    snapshotDisks: (spec, { authority, machine, wish }) =>
      reach({ spec, call: 'snapshotDisks', authority }, (host) => {
        refuseOpen(host, machine)
        return take(machine, wish, false)
      }),
    removeSnapshot: (spec, { authority, snapshot }) =>
      reach({ spec, call: 'removeSnapshot', authority }, () => void layers.snapshots.delete(snapshot.id)),
    tidyMachine: (spec, { authority, vmId, epoch }) =>
      reach({ spec, call: 'tidyMachine', authority }, (host) => {
        held(host, vmId, epoch)
        return { isDone: true, detail: '' }
      }),
    tidyDisks: (spec, { authority, machine }) =>
      reach({ spec, call: 'tidyDisks', authority }, (host) => refuseOpen(host, machine)),
    revertMachine: (spec, { authority, vmId, epoch, taskId, snapshot }) =>
      reach({ spec, call: 'revertMachine', authority }, (host) => {
        const machine = requireRunning(held(host, vmId, epoch))
        machine.phase = 'running'
        if (layers.reverts.get(vmId)?.taskId !== taskId) {
          layers.reverts.set(vmId, { taskId, snapshotId: snapshot.id })
          for (const { volumeId } of snapshot.disks) layers.current.set(volumeId, layerIdSchema.parse(id('layer')))
        }
        return { how: snapshot.imageId === null ? ('booted' as const) : ('resumed' as const), detail: '' }
      }),
    revertDisks: (spec, { authority, machine, snapshot, overlays }) =>
      reach({ spec, call: 'revertDisks', authority }, (host) => {
        refuseOpen(host, machine)
        layers.reverts.set(machine.vmId, { taskId: 'closed', snapshotId: snapshot.id })
        for (const { volumeId, layerId } of overlays) layers.current.set(volumeId, layerId)
      }),
    runInGuest: (spec, { authority, vmId, epoch, command }) =>
      reach({ spec, call: 'runInGuest', authority }, (host) => {
        requireRunning(held(host, vmId, epoch))
        return layers.runs(command)
      }),
    measureMachine: (spec, { authority, vmId, epoch }) =>
      reach({ spec, call: 'measureMachine', authority }, (host) => {
        held(host, vmId, epoch)
        return { writtenMiB: 3 }
      }),
  }
}
