/** How a machine is at this moment, from what its host reports and what its guest tells. */
import type { VmId } from '../../model/ids.ts'
import type { VmCondition } from '../../model/snapshots/vm-change.ts'
import type { AgentPort } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import { machineTarget } from '../order-target.ts'

const guestTimeoutMs = 3_000
const bootIdPath = '/proc/sys/kernel/random/boot_id'

/** What can't be found out is null: a change is begun and ended all the same. */
export async function lookAtCondition(leader: Leader, agents: AgentPort, vmId: VmId): Promise<VmCondition> {
  const { status } = leader.index.state().vms.get(vmId) ?? {}
  const head = () => {
    const { host, authority, placement } = machineTarget(leader, vmId)
    return { host, order: { vmId, authority, epoch: placement.epoch } }
  }
  const orNull = <Result>(ask: () => Promise<Result>) =>
    Promise.resolve()
      .then(ask)
      .catch(() => null)
  const bootId = await orNull(async () => {
    const { host, order } = head()
    const command = ['/bin/cat', bootIdPath]
    const { exitCode, output } = await agents.runInGuest(host, { ...order, command, timeoutMs: guestTimeoutMs })
    return exitCode === 0 ? output.trim().slice(0, 64) : null
  })
  const measured = await orNull(async () => {
    const { host, order } = head()
    return agents.measureMachine(host, order)
  })
  return {
    at: leader.clock.wallTime().toISOString(),
    service: status?.recovery?.service ?? 'unknown',
    crashes: status?.crashes ?? 0,
    bootId,
    writtenMiB: measured?.writtenMiB ?? null,
  }
}

/** Whether a check ends well; null when it could not be run. */
export async function runCheck(
  leader: Leader,
  agents: AgentPort,
  of: { readonly vmId: VmId; readonly check: string },
): Promise<number | null> {
  try {
    const { host, authority, placement } = machineTarget(leader, of.vmId)
    const command = ['/bin/sh', '-c', of.check]
    const order = { vmId: of.vmId, authority, epoch: placement.epoch, command, timeoutMs: 2 * guestTimeoutMs }
    return (await agents.runInGuest(host, order)).exitCode
  } catch {
    return null
  }
}
