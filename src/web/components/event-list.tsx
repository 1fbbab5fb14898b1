/** Events as a list, newest first. */
import type { EventView } from '../../model/api/views.ts'
import { texts } from '../texts.ts'
import { Age, Foreign, Nothing } from './parts.tsx'

export function EventList({ events }: { readonly events: readonly EventView[] }) {
  if (events.length === 0) return <Nothing>{texts.events.none}</Nothing>
  return (
    <ol className="events">
      {events.map((event) => (
        <li key={`${event.revision} ${event.at} ${event.kind} ${event.subject}`}>
          <span className="event-when">
            <Age at={event.at} />
          </span>
          <span className="event-kind">{event.kind}</span>
          <span className="event-text">
            <strong>
              <Foreign text={event.subject} />
            </strong>{' '}
            <Foreign text={event.message} />
            {event.user === null || event.user === event.subject ? null : (
              <span className="event-user">
                {' '}
                · {texts.events.by} <Foreign text={event.user} />
              </span>
            )}
          </span>
        </li>
      ))}
    </ol>
  )
}
