/** Writes down what happened, for people and for the event stream. Kept to a bounded number; the oldest go. */

import type { Clock } from '../../model/clock.ts'
import type { ClusterEvent } from '../../model/cluster.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import type { Store, Write } from '../../store/store.ts'
import { keys } from './keys.ts'

export type NewEvent = {
  /** noun.verb, such as host.suspect. */
  readonly kind: string
  readonly subject: string
  readonly message: string
  readonly vmId?: VmId | undefined
  readonly hostId?: HostId | undefined
  readonly user?: string | undefined
  /** Figures, for programs. */
  readonly detail?: ClusterEvent['detail']
}

export type EventLedger = {
  /** The write that records it, to go into the transaction of what happened. Also logs it. */
  write(event: NewEvent): Write
  /** Records one that belongs to no other change. */
  record(event: NewEvent): Promise<void>
}

const keptEvents = 10_000

export function createEventLedger(
  store: Store,
  options: { readonly clock: Clock; readonly logger: Logger },
): EventLedger {
  let counter = 0
  const write = (event: NewEvent): Write => {
    const at = options.clock.wallTime()
    counter = (counter + 1) % 10_000
    const record: ClusterEvent = {
      at: at.toISOString(),
      kind: event.kind,
      subject: event.subject,
      message: event.message,
      vmId: event.vmId ?? null,
      hostId: event.hostId ?? null,
      user: event.user ?? null,
      ...(event.detail === undefined ? {} : { detail: event.detail }),
    }
    options.logger.info(event.kind, { ...event })
    if (counter % 500 === 0) prune(store).catch((error: unknown) => options.logger.warn('event.not-pruned', { error }))
    return { kind: 'put', key: keys.event(at.getTime(), counter), value: JSON.stringify(record) }
  }
  return {
    write,
    async record(event) {
      await store.commit({ conditions: [], writes: [write(event)] })
    },
  }
}

async function prune(store: Store): Promise<void> {
  const { entries } = await store.range('event/')
  const old = entries.slice(0, Math.max(0, entries.length - keptEvents)).slice(0, 500)
  if (old.length > 0) await store.commit({ conditions: [], writes: old.map(({ key }) => ({ kind: 'delete', key })) })
}
