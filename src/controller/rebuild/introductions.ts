/** Hosts that have a certificate of this cluster and that this state does not know. In memory: each introduces itself as long as it is refused. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId } from '../../model/ids.ts'
import type { Introduction } from '../../model/rebuild/testimony.ts'

export type Introductions = {
  note(hostId: HostId, introduction: Introduction): void
  list(): ReadonlyMap<HostId, Introduction>
}

/** More hosts than any cluster has; whoever holds certificates by the thousand fills no memory. */
const atMost = 50_000

export function createIntroductions(): Introductions {
  const known = new Map<HostId, Introduction>()
  return {
    note(hostId, introduction) {
      if (known.size >= atMost && !known.has(hostId))
        throw new DialtoneError('in-use', 'too many hosts have introduced themselves')
      known.set(hostId, introduction)
    },
    list: () => known,
  }
}
