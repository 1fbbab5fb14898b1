/** The ledger as tables for spreadsheets: comma-separated values as in RFC 4180, a heading first. Times ISO, durations milliseconds. */
import type { Availability, AvailabilityFigures } from './availability.ts'
import type { Outage } from './outage.ts'

type Value = string | number | null
type Columns<Row> = readonly (readonly [heading: string, value: (row: Row) => Value])[]

export type ServiceAvailability = Availability & { readonly service: string; readonly serviceName: string }

const outageColumns: Columns<Outage> = [
  ['id', ({ id }) => id],
  ['service', ({ service }) => service],
  ['service_name', ({ serviceName }) => serviceName],
  ['cause', ({ cause }) => cause],
  ['cause_detail', ({ causeDetail }) => causeDetail],
  ['began_at', ({ beganAt }) => beganAt],
  ['last_correct_at', ({ beganBetween }) => beganBetween[0]],
  ['first_wrong_at', ({ beganBetween }) => beganBetween[1]],
  ['last_wrong_at', ({ endedBetween }) => endedBetween?.[0] ?? null],
  ['ended_at', ({ endedBetween }) => endedBetween?.[1] ?? null],
  ['ended_by', ({ endedBy }) => endedBy],
  ['duration_ms', ({ durationMs }) => durationMs],
  ['duration_at_least_ms', ({ durationAtLeastMs }) => durationAtLeastMs],
  ['duration_at_most_ms', ({ durationAtMostMs }) => durationAtMostMs],
  ['detect_ms', ({ parts }) => parts.detectMs],
  ['decide_ms', ({ parts }) => parts.decideMs],
  ['fence_ms', ({ parts }) => parts.fenceMs],
  ['start_ms', ({ parts }) => parts.startMs],
  ['serve_ms', ({ parts }) => parts.serveMs],
  ['attempts', ({ attempts }) => attempts.map(({ rung, isCured }) => `${rung}:${outcomeOf(isCured)}`).join(' ')],
  ['drill', ({ drillId }) => drillId],
]

const figureColumns: Columns<AvailabilityFigures> = [
  ['failures', ({ failures }) => failures],
  ['recoveries', ({ recoveries }) => recoveries],
  ['mttf_ms', ({ mttfMs }) => mttfMs],
  ['mttf_low_ms', ({ mttfBoundsMs }) => mttfBoundsMs.low],
  ['mttf_high_ms', ({ mttfBoundsMs }) => mttfBoundsMs.high],
  ['mttr_mean_ms', ({ mttrMeanMs }) => mttrMeanMs],
  ['mttr_median_ms', ({ mttrMedianMs }) => mttrMedianMs],
  ['mttr_p99_ms', ({ mttrP99Ms }) => mttrP99Ms],
  ['availability', ({ availability }) => availability],
  ['availability_low', ({ availabilityBounds }) => availabilityBounds.low],
  ['availability_high', ({ availabilityBounds }) => availabilityBounds.high],
  ['nines', ({ nines }) => nines],
]

const availabilityColumns: Columns<ServiceAvailability & { readonly counted: string } & AvailabilityFigures> = [
  ['service', ({ service }) => service],
  ['service_name', ({ serviceName }) => serviceName],
  ['counted', ({ counted }) => counted],
  ['since', ({ since }) => since],
  ['until', ({ until }) => until],
  ['observed_ms', ({ observedMs }) => observedMs],
  ['up_ms', ({ sums }) => sums.upMs],
  ['degraded_ms', ({ sums }) => sums.degradedMs],
  ['down_ms', ({ sums }) => sums.downMs],
  ['drill_down_ms', ({ sums }) => sums.drillDownMs],
  ['planned_ms', ({ sums }) => sums.plannedMs],
  ['unobserved_ms', ({ sums }) => sums.unobservedMs],
  ...figureColumns,
]

export function outagesToCsv(outages: readonly Outage[]): string {
  return toCsv(outageColumns, outages)
}

/** Three rows a service: what nobody wanted, drills, and both together. */
export function availabilityToCsv(services: readonly ServiceAvailability[]): string {
  const rows = services.flatMap((each) => [
    { ...each, ...each.real, counted: 'real' },
    { ...each, ...each.drills, counted: 'drills' },
    { ...each, ...each.withDrills, counted: 'with-drills' },
  ])
  return toCsv(availabilityColumns, rows)
}

function toCsv<Row>(columns: Columns<Row>, rows: readonly Row[]): string {
  const lines = [columns.map(([heading]) => heading), ...rows.map((row) => columns.map(([, value]) => value(row)))]
  return lines.map((cells) => `${cells.map(quote).join(',')}\r\n`).join('')
}

/** A text of others that begins like a formula would be carried out by a spreadsheet: an apostrophe keeps it a text. */
function quote(value: Value): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function outcomeOf(isCured: boolean | null): string {
  return isCured === null ? 'open' : isCured ? 'cured' : 'failed'
}
