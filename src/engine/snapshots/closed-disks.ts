/** Which host works on the disks of a machine that runs nowhere, and what it is told. */
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostSpec } from '../../model/host.ts'
import { type LayerId, layerIdSchema, makeId, type VmId, type VolumeId } from '../../model/ids.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { AgentPort, ClosedDisks } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import { orderTarget } from '../order-target.ts'
import { letGo } from '../vms/let-go.ts'
import { machineOrderOf } from '../vms/machine-order-of.ts'

export type Overlays = readonly { readonly volumeId: VolumeId; readonly layerId: LayerId }[]

/** A new layer for each disk, named before anybody makes one. */
export function planOverlays({ disks }: VmSpec, leader: Pick<Leader, 'randomBytes'>): Overlays {
  return disks.map(({ volumeId }) => ({ volumeId, layerId: makeId('layer', layerIdSchema, leader.randomBytes(8)) }))
}

/** Waits until it runs nowhere for certain; then who works on its disks, with which claim. */
export async function closeDisks(
  leader: Leader,
  agents: AgentPort,
  of: { readonly vmId: VmId; readonly overlays: Overlays; readonly signal: AbortSignal },
): Promise<{ readonly host: HostSpec; readonly order: ClosedDisks }> {
  const { vmId, overlays } = of
  await letGo(leader, agents, of)
  const vm = requireVm(leader, vmId)
  const { operation } = vm
  if (operation?.needsClosed !== true)
    throw new DialtoneError('internal', `the disks of ${vm.spec.name} are not held closed`)
  const { host, authority } = hostForDisks(leader, vm)
  const life = operation.epoch === null ? null : { vmId, epoch: operation.epoch, incarnation: 0 }
  return { host, order: { authority, machine: machineOrderOf(vm), life, overlays } }
}

/** Where it was last, if that has its storages; else whoever has. */
export function hostForDisks(leader: Leader, { spec, placement }: VmRecord) {
  const { hosts } = leader.index.state()
  const able = [...hosts.values()].filter(
    ({ status }) =>
      (status.state === 'online' || status.state === 'maintenance') &&
      spec.disks.every(({ storageId }) => status.storageIds.includes(storageId)),
  )
  const chosen = able.find((host) => host.spec.id === placement?.hostId) ?? able[0]
  const target = chosen === undefined ? undefined : orderTarget(leader, chosen.spec.id)
  if (target === undefined)
    throw new DialtoneError('host-unreachable', `no host that answers has the storages of ${spec.name}`)
  return target
}

export function requireVm(leader: Leader, vmId: VmId): VmRecord {
  const vm = leader.index.state().vms.get(vmId)
  if (vm === undefined) throw new DialtoneError('not-found', 'the VM was deleted')
  return vm
}
