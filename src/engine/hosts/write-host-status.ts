/** Changes a host's stored status by compare-and-swap, with the event that tells of it in the same transaction. */
import type { HostStatus } from '../../model/host.ts'
import type { HostId } from '../../model/ids.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import type { NewEvent } from '../state/ledger-of-events.ts'

/** Up to a few attempts against concurrent writers; `change` is asked anew each time and may say undefined: nothing to do any more. */
export async function writeHostStatus(
  leader: Leader,
  hostId: HostId,
  change: (status: HostStatus) => { readonly status: HostStatus; readonly event?: NewEvent } | undefined,
): Promise<boolean> {
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const host = leader.index.state().hosts.get(hostId)
    const next = host === undefined ? undefined : change(host.status)
    if (next === undefined) return false
    const key = keys.hostStatus(hostId)
    const event = next.event === undefined ? [] : [leader.events.write({ hostId, ...next.event })]
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, key)],
      writes: [put(key, next.status), ...event],
    })
    if (result.kind === 'committed') return true
    await leader.clock.sleep(5)
  }
  return false
}
