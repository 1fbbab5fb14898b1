/** The serial console of a VM, wherever it is: a stream that follows it over moves and recoveries until it is stopped. */
import type { Duplex } from 'node:stream'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { VmId } from '../../model/ids.ts'
import type { ApiContext } from '../handlers/api-context.ts'
import { whereItIs } from '../handlers/where-it-is.ts'
import { openLastingStream } from './lasting-stream.ts'

export type Terminals = { open(vm: VmRecord): Promise<Duplex> }

/** An agent lets one at a time have the console: a newer one ends the older one, which must not take it back. */
export function createTerminals(context: ApiContext): Terminals {
  const newest = new Map<VmId, object>()
  const { leader } = context.engine
  const present = (vmId: VmId) => leader.index.state().vms.get(vmId)
  return {
    async open({ spec: { id: vmId, name } }) {
      const turn = {}
      const stream = await openLastingStream({
        clock: leader.clock,
        async open() {
          const vm = present(vmId)
          if (vm === undefined) throw new DialtoneError('not-found', `there is no VM ${name} any more`)
          const { host } = whereItIs(context, vm)
          return context.agents.client(host).upgrade('console', { params: { vmId } })
        },
        isOver: () => newest.get(vmId) !== turn || present(vmId)?.spec.desired !== 'running',
      })
      newest.set(vmId, turn)
      stream.once('close', () => {
        if (newest.get(vmId) === turn) newest.delete(vmId)
      })
      return stream
    },
  }
}
