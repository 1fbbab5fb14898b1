import type { EventView } from '../../model/api/views.ts'
import { eventSchema } from '../../model/cluster.ts'
import type { KeyValue } from '../../store/store.ts'

/** An event as callers see it, from the entry that records it. */
export function eventView(entry: KeyValue): EventView {
  return { revision: entry.modRevision, ...eventSchema.parse(JSON.parse(entry.value)) }
}
