/** Neither the store nor any host ever goes back to an older life of a machine. */
import { keys } from '../../engine/state/keys.ts'
import { vmIdSchema } from '../../model/ids.ts'
import { vmPlacementSchema } from '../../model/vm.ts'
import type { Checker } from '../observation.ts'

type Life = { readonly epoch: number; readonly incarnation: number }

export function epochsOnlyGrow(): Checker {
  const ran = new Map<string, Life & { readonly process: string }>()
  const placed = new Map<string, number>()
  return (seen) => {
    if (seen.kind === 'guest-runs') {
      const before = ran.get(seen.vmId)
      if (before === undefined || isAfter(seen, before)) return void ran.set(seen.vmId, seen)
      if (before.process !== seen.process)
        return `${seen.process} runs life ${wordsOf(seen)} of ${seen.vmId} after ${before.process} ran ${wordsOf(before)}`
    }
    // What has run still binds it.
    if (seen.kind === 'state-went-back') placed.clear()
    if (seen.kind === 'committed') {
      for (const change of seen.changeSet.changes) {
        const key = change.kind === 'put' ? change.entry.key : change.key
        const [noun, id, part] = key.split('/')
        if (noun !== 'vm' || part !== 'placement' || change.kind !== 'put') continue
        const { epoch } = vmPlacementSchema.parse(JSON.parse(change.entry.value))
        const before = placed.get(key) ?? 0
        if (epoch < before)
          return `${keys.vmPlacement(vmIdSchema.parse(id))} went back from epoch ${before} to ${epoch}`
        placed.set(key, epoch)
      }
    }
    return undefined
  }
}

function isAfter(left: Life, right: Life): boolean {
  return left.epoch > right.epoch || (left.epoch === right.epoch && left.incarnation > right.incarnation)
}

function wordsOf({ epoch, incarnation }: Life): string {
  return `${epoch}.${incarnation}`
}
