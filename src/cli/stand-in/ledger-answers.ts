/** What the stand-in controller answers about the ledger: one outage by a death of the process, and the availability that it left. */
import type { AvailabilityView, ledgerRoutes, OutageView } from '../../model/api/ledger-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { AvailabilityFigures } from '../../model/ledger/availability.ts'
import type { Handlers } from '../../transport/mount-contract.ts'

export const standInOutage: OutageView = {
  id: 'out-aaaaaaaa-mf3k2j1a',
  service: 'vm-aaaaaaaa',
  serviceName: 'web',
  cause: 'process-died',
  causeDetail: 'QEMU was killed by signal 9',
  beganAt: '2026-03-01T11:00:00.000Z',
  beganBetween: ['2026-03-01T10:59:59.980Z', '2026-03-01T11:00:00.013Z'],
  endedBetween: ['2026-03-01T11:00:00.076Z', '2026-03-01T11:00:00.081Z'],
  endedBy: 'answer',
  durationMs: 81,
  durationAtLeastMs: 63,
  durationAtMostMs: 101,
  parts: { detectMs: 13, decideMs: 1, fenceMs: null, startMs: 40, serveMs: 27 },
  attempts: [
    { rung: 'resume-here', beganAt: '2026-03-01T11:00:00.014Z', isCured: true, tookMs: 67, detail: 'from memory' },
  ],
  drillId: null,
  planned: false,
  soFarMs: null,
}

const figures: AvailabilityFigures = {
  failures: 1,
  recoveries: 1,
  mttfMs: 86_399_919,
  mttrMeanMs: 81,
  mttrMedianMs: 81,
  mttrP99Ms: 81,
  availability: 86_399_919 / 86_400_000,
  nines: 6.028,
  mttfBoundsMs: { low: 15_507_000, high: 3_412_600_000 },
  availabilityBounds: { low: 0.99905, high: 0.999_999_995 },
}

const nothing: AvailabilityFigures = {
  failures: 0,
  recoveries: 0,
  mttfMs: null,
  mttrMeanMs: null,
  mttrMedianMs: null,
  mttrP99Ms: null,
  availability: 1,
  nines: null,
  mttfBoundsMs: { low: 28_840_000, high: null },
  availabilityBounds: { low: null, high: null },
}

export const standInAvailability: AvailabilityView = {
  service: 'vm-aaaaaaaa',
  serviceName: 'web',
  since: '2026-02-28T12:00:00.000Z',
  until: '2026-03-01T12:00:00.000Z',
  observedMs: 86_400_000,
  sums: { upMs: 86_399_919, degradedMs: 0, downMs: 81, drillDownMs: 0, plannedMs: 0, unobservedMs: 0 },
  real: figures,
  drills: nothing,
  withDrills: figures,
  windowMinimums: [
    { windowMs: 60_000, availability: 1 - 81 / 60_000 },
    { windowMs: 30 * 86_400_000, availability: null },
  ],
}

/** `asked`: what was asked for, oldest first. */
export function makeLedgerHandlers(asked: string[]): Handlers<typeof ledgerRoutes> {
  return {
    getAvailability: ({ query }) => {
      asked.push(JSON.stringify(query))
      return { services: [standInAvailability] }
    },
    listOutages: ({ query }) => {
      asked.push(JSON.stringify(query))
      return { outages: [standInOutage] }
    },
    listLedgerEntries: () => ({ entries: [] }),
    getOutage: ({ params }) => {
      if (params.outage === standInOutage.id) return standInOutage
      throw new DialtoneError('not-found', `There is no outage ${params.outage}.`)
    },
  }
}
