/** What happened, who asked for it, and when. */
import { TextInput } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import { useCloud } from '../cloud/console-context.ts'
import { EventList } from '../components/event-list.tsx'
import { Card, PageHead } from '../components/parts.tsx'
import { matchEvents } from '../logic/match-events.ts'
import { texts } from '../texts.ts'

const route = getRouteApi('/events')
const mostShown = 300

export function EventsPage() {
  const { events } = useCloud()
  const { q } = route.useSearch()
  const navigate = route.useNavigate()
  return (
    <>
      <PageHead title={texts.pages.events}>
        <TextInput
          aria-label={texts.events.search}
          placeholder={texts.events.search}
          value={q ?? ''}
          onChange={(event) => void navigate({ search: { q: event.currentTarget.value || undefined }, replace: true })}
        />
      </PageHead>
      <Card title={texts.overview.events}>
        <EventList events={matchEvents(events, q ?? '').slice(0, mostShown)} />
      </Card>
    </>
  )
}
