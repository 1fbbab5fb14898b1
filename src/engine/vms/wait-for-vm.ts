/** Waits until a VM is in one of some states, following the index and not the clock. */

import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { VmId } from '../../model/ids.ts'
import type { Leader } from '../leader.ts'

export type VmCondition = (vm: VmRecord | undefined) => 'yes' | 'not-yet' | DialtoneError

/** Resolves when `condition` says yes; throws the error that it gives; rejects when the signal aborts. */
export function waitForVm(
  leader: Leader,
  vmId: VmId,
  { condition, signal }: { readonly condition: VmCondition; readonly signal: AbortSignal },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const verdict = condition(leader.index.state().vms.get(vmId))
      if (verdict === 'not-yet') return
      finish()
      if (verdict === 'yes') resolve()
      else reject(verdict)
    }
    const abort = () => {
      finish()
      reject(signal.reason instanceof Error ? signal.reason : new DialtoneError('cancelled', 'no longer waited for'))
    }
    const stop = leader.index.onChange((touched) => {
      if (touched.some(({ id }) => id === vmId)) look()
    })
    const finish = () => {
      stop()
      signal.removeEventListener('abort', abort)
    }
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
    else look()
  })
}
