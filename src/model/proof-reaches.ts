/** Whether a proof about a host says anything about one machine that was there. The one place where that is judged. */
import type { VmRecord } from './cluster-state.ts'
import type { Proof } from './proof.ts'

/**
 * Power, a new boot and an operator's word reach everything on the host. A lease reaches what it was allowed to kill, on storages that had a
 * pill. A host that came back and let go has let go of its leased machines only.
 */
export function proofReaches({ spec, placement }: VmRecord, proof: Proof): boolean {
  switch (proof.kind) {
    case 'power':
    case 'rebooted':
    case 'operator':
      return true
    case 'released':
      return placement?.leased === true
    case 'lease': {
      const withPill = new Set(proof.pills.map((pill) => pill.storageId))
      return placement?.leased === true && spec.disks.every((disk) => withPill.has(disk.storageId))
    }
  }
}
