/** What the ledger says: nines, times to recover, and every outage on a line of time. */
import { NativeSelect, Stack } from '@mantine/core'
import { useState } from 'react'
import { formatDuration } from '../../model/age.ts'
import type { AvailabilityView, OutageView } from '../../model/api/ledger-routes.ts'
import { useAnswer } from '../cloud/use-answer.ts'
import { OutageList } from '../components/outages.tsx'
import { Card, MachineLink, Nothing, PageHead, ScrollTable } from '../components/parts.tsx'
import { describeNines } from '../logic/nines.ts'
import { marksOn } from '../logic/outage-timeline.ts'
import { texts } from '../texts.ts'

const follows = { after: ['vm.', 'host.'] } as const

export function AvailabilityPage() {
  const [lastSeconds, setLast] = useState(2_592_000)
  const availability = useAnswer('getAvailability', { query: { lastSeconds } }, follows).value
  const outages = useAnswer('listOutages', { query: { lastSeconds, limit: 500 } }, follows).value?.outages ?? []
  return (
    <>
      <PageHead title={texts.pages.availability}>
        <NativeSelect
          aria-label={texts.availability.window}
          value={String(lastSeconds)}
          onChange={(event) => setLast(Number(event.currentTarget.value))}
          data={Object.entries(texts.availability.windows).map(([value, label]) => ({ value, label }))}
        />
      </PageHead>
      <Stack gap="md">
        <Card title={texts.pages.availability}>
          <Services services={availability?.services ?? []} outages={outages} />
        </Card>
        <Card title={texts.availability.list}>
          {outages.length === 0 ? (
            <Nothing>{texts.availability.none}</Nothing>
          ) : (
            <OutageList outages={outages.slice(0, 100)} />
          )}
        </Card>
      </Stack>
    </>
  )
}

function Services({
  services,
  outages,
}: {
  readonly services: readonly AvailabilityView[]
  readonly outages: readonly OutageView[]
}) {
  return (
    <ScrollTable>
      <thead>
        <tr>
          <th scope="col">{texts.availability.service}</th>
          <th scope="col">{texts.availability.availability}</th>
          <th scope="col">{texts.availability.nines}</th>
          <th scope="col">{texts.availability.failures}</th>
          <th scope="col">{texts.availability.recover}</th>
          <th scope="col">{texts.availability.worst}</th>
          <th scope="col" className="wide">
            {texts.availability.timeline}
          </th>
        </tr>
      </thead>
      <tbody>
        {services.map((service) => (
          <Service
            key={service.service}
            service={service}
            outages={outages.filter((outage) => outage.service === service.service)}
          />
        ))}
      </tbody>
    </ScrollTable>
  )
}

function Service({
  service,
  outages,
}: {
  readonly service: AvailabilityView
  readonly outages: readonly OutageView[]
}) {
  const { real, sums } = service
  const duration = (ms: number | null) => (ms === null ? '–' : formatDuration(ms))
  return (
    <tr>
      <th scope="row">
        <MachineLink name={service.serviceName} />
      </th>
      <td className="figures">{describeNines({ availability: real.availability, wasDown: sums.downMs > 0 })}</td>
      <td className="figures">{real.nines === null ? texts.availability.never : real.nines.toFixed(1)}</td>
      <td className="figures">{real.failures}</td>
      <td className="figures">{duration(real.mttrMedianMs)}</td>
      <td className="figures">{duration(real.mttrP99Ms)}</td>
      <td>
        <Timeline service={service} outages={outages} />
      </td>
    </tr>
  )
}

function Timeline({
  service,
  outages,
}: {
  readonly service: AvailabilityView
  readonly outages: readonly OutageView[]
}) {
  const marks = marksOn(outages, { sinceMs: Date.parse(service.since), untilMs: Date.parse(service.until) })
  return (
    <svg
      className="timeline"
      viewBox="0 0 1000 20"
      preserveAspectRatio="none"
      role="img"
      aria-label={`${service.serviceName}: ${texts.availability.failures} ${outages.length}`}
    >
      <rect width="1000" height="20" className="timeline-up" />
      {marks.map(({ id, from, width, isDrill }) => (
        <rect
          key={id}
          x={from * 1000}
          width={Math.max(3, width * 1000)}
          height="20"
          className={isDrill ? 'timeline-drill' : 'timeline-down'}
        />
      ))}
    </svg>
  )
}
