/** What handlers of the public API work with, and how they find what a caller names. */
import { z } from 'zod'
import type { Engine } from '../../engine/engine.ts'
import type { TaskView, VmView } from '../../model/api/views.ts'
import type { Task } from '../../model/cluster.ts'
import type { HostRecord, VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { VmId } from '../../model/ids.ts'
import type { AgentConnections } from '../agent-connections.ts'
import { vmView } from '../views/vm-view.ts'

export type ApiContext = {
  readonly engine: Engine
  readonly agents: AgentConnections
}

/** By name or id; throws `not-found` with what it was asked for. */
export function findVm({ engine }: ApiContext, reference: string): VmRecord {
  const { vms } = engine.leader.index.state()
  const found = [...vms.values()].find(({ spec }) => spec.name === reference || spec.id === reference)
  if (found === undefined) throw new DialtoneError('not-found', `there is no VM ${reference}`)
  return found
}

export function findHost({ engine }: ApiContext, reference: string): HostRecord {
  const { hosts } = engine.leader.index.state()
  const found = [...hosts.values()].find(({ spec }) => spec.name === reference || spec.id === reference)
  if (found === undefined) throw new DialtoneError('not-found', `there is no host ${reference}`)
  return found
}

export function viewOfVm({ engine }: ApiContext, vmId: VmId): VmView {
  const { index } = engine.leader
  const vm = index.state().vms.get(vmId)
  if (vm === undefined) throw new DialtoneError('not-found', `the VM ${vmId} is gone`)
  return vmView(index.state(), vm, {
    revision: index.revision(),
    standbyReport: engine.standbyReport(vmId),
    nowMs: engine.leader.clock.wallTime().getTime(),
  })
}

const withOutputSchema = z.looseObject({ output: z.string().min(1) })

/** Of its journal only what a command said is for others. */
export function viewOfTask({ journal, ...view }: Task): TaskView {
  const told = withOutputSchema.safeParse(journal)
  return told.success ? { ...view, output: told.data.output } : view
}
