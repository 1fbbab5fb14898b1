/** `dialtone availability …` and `dialtone outage …`: what the ledger says. */
import { type Command, InvalidArgumentError } from 'commander'
import { formatAge, formatDuration, formatInstant } from '../model/age.ts'
import type { AvailabilityView, OutageView } from '../model/api/ledger-routes.ts'
import type { AvailabilityFigures, Bounds } from '../model/ledger/availability.ts'
import { availabilityToCsv, outagesToCsv } from '../model/ledger/ledger-csv.ts'
import { formatPartBars } from './ledger-bar.ts'
import { type Listing, writeDetails, writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'
import type { Cell } from './text-table.ts'

type AvailabilityOptions = { readonly since: number; readonly csv?: boolean }
type OutageOptions = AvailabilityOptions & { readonly service?: string; readonly drills?: boolean }

const monthInSeconds = 30 * 86_400
const sinceHelp = 'how far back: 30d, 12h, 90m'

/** Adds what `availability` does to that command. */
export function addAvailabilityCommand(availability: Command): void {
  availability
    .description('how available a service was, or all of them: failures, times to recover, nines')
    .argument('[vm]')
    .option('--since <time>', sinceHelp, periodOption, monthInSeconds)
    .option('--csv', 'comma-separated values')
    .action((service: string | undefined, options: AvailabilityOptions, command: Command) =>
      withSession(command, (session) => showAvailability(session, service, options)),
    )
}

/** Adds the verbs of outages to the command `outage`. */
export function addOutageCommands(outage: Command): void {
  outage
    .command('list')
    .description('list outages, newest first')
    .option('--service <vm>', 'of this service only')
    .option('--since <time>', sinceHelp, periodOption, monthInSeconds)
    .option('--drills', 'only those that drills made')
    .option('--no-drills', 'only those that nobody wanted')
    .option('--csv', 'comma-separated values')
    .action((options: OutageOptions, command: Command) =>
      withSession(command, (session) => listOutages(session, options)),
    )
  outage
    .command('show')
    .description('show one outage: its bounds, how long each part took, what was tried')
    .argument('<outage>')
    .action((id: string, _options: object, command: Command) =>
      withSession(command, (session) => showOutage(session, id)),
    )
}

async function showAvailability(
  { api, screen }: Session,
  service: string | undefined,
  { since: lastSeconds, csv }: AvailabilityOptions,
): Promise<void> {
  const asked = service === undefined ? {} : { service }
  const answer = await api.call('getAvailability', { query: { ...asked, lastSeconds } })
  if (screen.json) return writeJson(screen, answer)
  if (csv === true) return screen.write(availabilityToCsv(answer.services))
  const [only] = answer.services
  if (service === undefined || only === undefined) return writeListing(screen, answer.services, availabilityListing)
  writeDetails(screen, describeAvailability(only))
}

const availabilityListing: Listing<AvailabilityView> = {
  none: 'There is no service yet.',
  columns: [
    ['SERVICE', ({ serviceName }) => serviceName],
    ['AVAILABILITY', ({ real }) => formatShare(real.availability)],
    ['NINES', ({ real }) => formatNines(real)],
    ['FAILURES', ({ real }) => String(real.failures)],
    ['DOWN', ({ sums }) => formatDuration(sums.downMs)],
    ['RECOVERY', ({ real }) => formatTime(real.mttrMedianMs)],
    ['P99', ({ real }) => formatTime(real.mttrP99Ms)],
    ['OBSERVED', ({ observedMs }) => formatDuration(observedMs)],
    ['DRILLS', ({ drills }) => String(drills.failures)],
    ['RECOVERY', ({ drills }) => formatTime(drills.mttrMedianMs)],
    ['P99', ({ drills }) => formatTime(drills.mttrP99Ms)],
  ],
}

function describeAvailability({ serviceName, since, until, observedMs, ...view }: AvailabilityView): [string, Cell][] {
  const { sums, real, drills, withDrills, windowMinimums } = view
  return [
    ['Service', serviceName],
    ['From', since],
    ['To', until],
    ['Observed', formatDuration(observedMs)],
    ['Up', formatDuration(sums.upMs)],
    ['Degraded', formatDuration(sums.degradedMs)],
    ['Down', formatDuration(sums.downMs)],
    ['Down by drills', formatDuration(sums.drillDownMs)],
    ['Planned', formatDuration(sums.plannedMs)],
    ['Unobserved', formatDuration(sums.unobservedMs)],
    ['Availability', describeShare(real)],
    ['Failures', describeFailures(real)],
    ['Recovery', describeRecovery(real)],
    ['Drills', describeFailures(drills)],
    ['Drill recovery', describeRecovery(drills)],
    ['With drills', describeShare(withDrills)],
    ...windowMinimums.map(({ windowMs, availability }): [string, Cell] => [
      `Worst ${formatWindow(windowMs)}`,
      formatShare(availability),
    ]),
  ]
}

function describeShare(figures: AvailabilityFigures): string {
  const { failures, recoveries, availability, availabilityBounds } = figures
  if (availability === null) return 'nobody looked'
  const rests = `${failures} ${failures === 1 ? 'failure' : 'failures'}`
  const between =
    recoveries === 0 ? 'too few for an interval' : `95 % interval ${formatBounds(availabilityBounds, formatShare)}`
  return `${formatShare(availability)} (nines: ${formatNines(figures)}; from ${rests}, ${between})`
}

function describeFailures({ failures, mttfMs, mttfBoundsMs }: AvailabilityFigures): string {
  const bounds = formatBounds(mttfBoundsMs, formatTime)
  return mttfMs === null
    ? `0; with 95 % one in ${formatTime(mttfBoundsMs.low)} or fewer`
    : `${failures}, one in ${formatTime(mttfMs)} (95 % interval ${bounds})`
}

function describeRecovery({ recoveries, mttrMedianMs, mttrMeanMs, mttrP99Ms }: AvailabilityFigures): string {
  if (recoveries === 0) return 'none'
  return `median ${formatTime(mttrMedianMs)}, p99 ${formatTime(mttrP99Ms)}, mean ${formatTime(mttrMeanMs)} (of ${recoveries})`
}

async function listOutages({ api, screen }: Session, options: OutageOptions): Promise<void> {
  const { since: lastSeconds, service, drills, csv } = options
  const which = drills === undefined ? 'all' : drills ? 'only' : 'none'
  const asked = service === undefined ? {} : { service }
  const answer = await api.call('listOutages', { query: { ...asked, lastSeconds, drills: which } })
  if (screen.json) return writeJson(screen, answer)
  if (csv === true) return screen.write(outagesToCsv(answer.outages))
  const nowMs = screen.nowMs()
  writeListing(screen, answer.outages, {
    none: 'No outage in that time.',
    columns: [
      ['ID', ({ id }) => id],
      ['SERVICE', ({ serviceName }) => serviceName],
      ['AGE', ({ beganAt }) => formatAge(beganAt, nowMs)],
      ['DOWN', durationCell],
      ['CAUSE', ({ cause }) => cause],
      ['CURE', ({ attempts }) => attempts.findLast(({ isCured }) => isCured === true)?.rung ?? '-'],
      ['DRILL', ({ drillId }) => drillId ?? '-'],
      ['DETAIL', ({ causeDetail }) => causeDetail],
    ],
  })
}

async function showOutage({ api, screen }: Session, id: string): Promise<void> {
  const outage = await api.call('getOutage', { params: { outage: id } })
  if (screen.json) return writeJson(screen, outage)
  writeDetails(screen, describeOutage(outage, screen.nowMs()))
  const totalMs = outage.durationMs ?? outage.soFarMs ?? 0
  screen.write(`\n${formatPartBars(outage.parts, totalMs, screen.layout.width ?? 100)}`)
  if (outage.attempts.length === 0) return
  screen.write('\n')
  writeListing(screen, outage.attempts, {
    none: '',
    columns: [
      ['TRIED', ({ rung }) => rung],
      ['AT', ({ beganAt }) => beganAt.slice(11, 23)],
      ['CURED', ({ isCured }) => (isCured === null ? 'unknown' : isCured ? 'yes' : 'no')],
      ['TOOK', ({ tookMs }) => formatTime(tookMs)],
      ['DETAIL', ({ detail }) => detail],
    ],
  })
}

function describeOutage(outage: OutageView, nowMs: number): [string, Cell][] {
  const [lastCorrectAt, firstWrongAt] = outage.beganBetween
  const { endedBetween, durationAtLeastMs, durationAtMostMs } = outage
  const bounds = `between ${formatTime(durationAtLeastMs)} and ${formatTime(durationAtMostMs)}`
  return [
    ['Id', outage.id],
    ['Service', outage.serviceName],
    ['Down', durationCell(outage)],
    ['Bounds', outage.durationMs === null ? '-' : bounds],
    ['Cause', outage.causeDetail === '' ? outage.cause : `${outage.cause}: ${outage.causeDetail}`],
    ['Began', formatInstant(outage.beganAt, nowMs)],
    ['Last correct', lastCorrectAt ?? 'unknown'],
    ['First wrong', firstWrongAt],
    ['Last wrong', endedBetween?.[0] ?? '-'],
    ['Ended', endedBetween === null ? 'it goes on' : `${endedBetween[1]} (${endings[outage.endedBy ?? 'unobserved']})`],
    ['Drill', outage.drillId ?? 'no'],
  ]
}

const endings: Readonly<Record<NonNullable<OutageView['endedBy']>, string>> = {
  answer: 'it answered correctly',
  planned: 'somebody stopped it',
  unobserved: 'nobody looked any more',
}

function durationCell({ durationMs, soFarMs }: OutageView): Cell {
  if (durationMs !== null) return formatDuration(durationMs)
  return { text: `${formatTime(soFarMs)} so far`, style: 'red' }
}

/** Digits up to the first two that are not nines: 99.99973 %. */
function formatShare(share: number | null): string {
  if (share === null) return '-'
  if (share === 1) return '100 %'
  const digits = Math.min(12, Math.max(2, Math.ceil(-Math.log10(1 - share))))
  return `${(Math.floor(share * 100 * 10 ** digits) / 10 ** digits).toFixed(digits)} %`
}

function formatNines({ nines, availability }: AvailabilityFigures): string {
  if (nines !== null) return nines.toFixed(1)
  return availability === null ? '-' : 'never down'
}

function formatTime(ms: number | null): string {
  return ms === null ? '-' : formatDuration(ms)
}

function formatBounds({ low, high }: Bounds, format: (value: number | null) => string): string {
  return `${low === null ? 'unknown' : format(low)} to ${high === null ? 'unknown' : format(high)}`
}

function formatWindow(ms: number): string {
  const hours = ms / 3_600_000
  if (hours < 1) return `${hours * 60} min`
  return hours < 24 ? `${hours} h` : `${hours / 24} d`
}

function periodOption(text: string): number {
  const match = /^([1-9]\d{0,5})(m|h|d)$/.exec(text)
  if (match === null) throw new InvalidArgumentError(`It is written like 30d, 12h or 90m; '${text}' is not one.`)
  return Number(match[1]) * { m: 60, h: 3600, d: 86_400 }[match[2] === 'm' || match[2] === 'h' ? match[2] : 'd']
}
