/**
 * What is placed anew on a proof that it was dead is dead: when that is stored, none of its processes runs anywhere. A false proof may do no
 * harm by luck, where the machine happens to be placed where it runs already.
 */
import { vmPlacementSchema } from '../../model/vm.ts'
import type { Checker } from '../observation.ts'

export function proofsAreTrue(): Checker {
  const running = new Map<string, Set<string>>()
  const epochs = new Map<string, number>()
  return (seen) => {
    if (seen.kind === 'guest-runs') running.set(seen.vmId, new Set([...(running.get(seen.vmId) ?? []), seen.process]))
    if (seen.kind === 'guest-stands' || seen.kind === 'process-ended') running.get(seen.vmId)?.delete(seen.process)
    if (seen.kind !== 'committed') return undefined
    for (const change of seen.changeSet.changes) {
      if (change.kind !== 'put') continue
      const [noun, id = '', part] = change.entry.key.split('/')
      if (noun !== 'vm' || part !== 'placement') continue
      const { epoch, proof } = vmPlacementSchema.parse(JSON.parse(change.entry.value))
      const isNew = epoch > (epochs.get(id) ?? 0)
      epochs.set(id, epoch)
      const [alive] = running.get(id) ?? []
      if (isNew && proof !== null && alive !== undefined)
        return `${id} is placed under epoch ${epoch} on a proof (${proof.kind}) that it is dead, and runs in ${alive}`
    }
    return undefined
  }
}
