/** Has a running machine's memory and root disk captured as something that clones begin with. */
import { refuseMemoryClone } from '../../control/snapshots/admit-snapshot.ts'
import type { AgentPort } from '../../engine/agent-port.ts'
import type { Leader } from '../../engine/leader.ts'
import { orderTarget } from '../../engine/order-target.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { VmId } from '../../model/ids.ts'
import type { CloneOrigin } from '../../model/machine-order.ts'

/** Throws what the agent refuses with: `image-unfit` when its guest can't be given a new identity. */
export async function captureTemplateImage(leader: Leader, agents: AgentPort, vmId: VmId): Promise<CloneOrigin> {
  const cluster = leader.index.state()
  const vm = cluster.vms.get(vmId)
  if (vm === undefined) throw new DialtoneError('not-found', 'the VM was deleted')
  const { spec, placement } = vm
  const target = placement === undefined ? undefined : orderTarget(leader, placement.hostId)
  const refusal = refuseMemoryClone(cluster, vm)
  if (refusal !== undefined) throw new DialtoneError(refusal.code, refusal.message)
  const [root] = spec.disks
  if (placement === undefined || target === undefined || root === undefined)
    throw new DialtoneError('wrong-state', `${spec.name} is on no host that answers`)
  const { host, authority } = target
  const imageId = await agents.captureMachine(host, { vmId, authority, epoch: placement.epoch, kind: 'template' })
  return { imageId, volumeId: root.volumeId, storageId: root.storageId }
}
