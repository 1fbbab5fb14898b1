/** Has a running machine's memory and root disk captured as something that clones begin with. */
import type { AgentPort } from '../../engine/agent-port.ts'
import type { Leader } from '../../engine/leader.ts'
import { orderTarget } from '../../engine/order-target.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { VmId } from '../../model/ids.ts'
import type { CloneOrigin } from '../../model/machine-order.ts'

/** Throws what the agent refuses with: `image-unfit` when its guest can't be given a new identity. */
export async function captureTemplateImage(leader: Leader, agents: AgentPort, vmId: VmId): Promise<CloneOrigin> {
  const { spec, placement, status } = leader.index.state().vms.get(vmId) ?? {}
  const target = placement === undefined ? undefined : orderTarget(leader, placement.hostId)
  if (spec === undefined) throw new DialtoneError('not-found', 'the VM was deleted')
  if (placement === undefined || target === undefined)
    throw new DialtoneError('wrong-state', `${spec.name} is on no host that answers`)
  if (status?.state !== 'running')
    throw new DialtoneError(
      'wrong-state',
      `${spec.name} is ${status?.state ?? 'stopped'}: only a running machine has a memory to clone`,
    )
  const [root, ...others] = spec.disks
  if (root === undefined || others.length > 0) {
    throw new DialtoneError(
      'image-unfit',
      `${spec.name} has further disks: a clone from memory would write to them, or find others under a file system that it has mounted`,
    )
  }
  const { host, authority } = target
  const imageId = await agents.captureMachine(host, { vmId, authority, epoch: placement.epoch, kind: 'template' })
  return { imageId, volumeId: root.volumeId, storageId: root.storageId }
}
