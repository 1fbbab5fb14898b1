import type { EventView } from '../../model/api/views.ts'

/** The events in which every word occurs, anywhere. */
export function matchEvents(events: readonly EventView[], query: string): readonly EventView[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return events
  return events.filter(({ kind, subject, message, user }) => {
    const text = `${kind} ${subject} ${message} ${user ?? ''}`.toLowerCase()
    return words.every((word) => text.includes(word))
  })
}
