/** Outages: how long, why, and of what parts. */
import { formatDuration } from '../../model/age.ts'
import type { OutageView } from '../../model/api/ledger-routes.ts'
import { shareOfParts } from '../logic/outage-parts.ts'
import { texts } from '../texts.ts'
import { Age, Foreign, MachineLink, ScrollTable } from './parts.tsx'

export function OutageList({
  outages,
  isOfOne = false,
}: {
  readonly outages: readonly OutageView[]
  readonly isOfOne?: boolean
}) {
  return (
    <ScrollTable>
      <thead>
        <tr>
          {isOfOne ? null : <th scope="col">{texts.availability.service}</th>}
          <th scope="col">{texts.availability.began}</th>
          <th scope="col">{texts.availability.duration}</th>
          <th scope="col">{texts.availability.cause}</th>
          <th scope="col">{Object.values(texts.availability.parts).join(' · ')}</th>
        </tr>
      </thead>
      <tbody>
        {outages.map((outage) => (
          <tr key={outage.id}>
            {isOfOne ? null : (
              <th scope="row">
                <MachineLink name={outage.serviceName} />
              </th>
            )}
            <td>
              <Age at={outage.beganAt} />
            </td>
            <td className="figures">
              {outage.durationMs === null ? texts.availability.goesOn : formatDuration(outage.durationMs)}
              {outage.drillId === null ? null : <span className="tag">{texts.availability.drill}</span>}
            </td>
            <td>
              {outage.cause}
              <span className="quiet"> {outage.causeDetail === '' ? null : <Foreign text={outage.causeDetail} />}</span>
            </td>
            <td>
              <PartsBar outage={outage} />
            </td>
          </tr>
        ))}
      </tbody>
    </ScrollTable>
  )
}

/** The parts of an outage side by side, as long as they took, each with its figure. */
export function PartsBar({ outage }: { readonly outage: OutageView }) {
  const parts = shareOfParts(outage.parts)
  return (
    <div className="parts">
      {parts.map(({ part, share, tookMs }) => (
        <span
          key={part}
          className={`part part-${part}`}
          style={{ flexGrow: Math.max(0.12, share) }}
          title={`${texts.availability.parts[part]} ${formatDuration(tookMs)}`}
        >
          {texts.availability.parts[part]} {formatDuration(tookMs)}
        </span>
      ))}
    </div>
  )
}
