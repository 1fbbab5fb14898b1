import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type VmAction, vmActionTable } from '../../model/vm.ts'

/** Refuses by the state table: throws `wrong-state`, with the states that would do. `hint`: what else could be done. */
export function assertAllowed(vm: VmRecord, action: VmAction, hint = ''): void {
  const state = vm.spec.lifecycle === 'live' ? (vm.status?.state ?? 'stopped') : vm.spec.lifecycle
  if (vmActionTable[action].includes(state)) return
  throw new DialtoneError(
    'wrong-state',
    `${vm.spec.name} is ${state}; ${action} needs it ${vmActionTable[action].join(', ')}${hint}`,
    { detail: { state, allowed: vmActionTable[action] } },
  )
}
