/** Availability in words. The figures are the ledger's; here they are only put together and written. */
import type { AvailabilityView } from '../../model/api/ledger-routes.ts'
import { texts } from '../texts.ts'

export type AvailabilitySum = { readonly availability: number | null; readonly wasDown: boolean }

/** All services as one: the time that any was up, of the time that any was looked at. */
export function summarize(services: readonly Pick<AvailabilityView, 'sums'>[]): AvailabilitySum {
  let up = 0
  let down = 0
  for (const { sums } of services) {
    up += sums.upMs + sums.degradedMs
    down += sums.downMs
  }
  return { availability: up + down === 0 ? null : up / (up + down), wasDown: down > 0 }
}

/** `99.98 %`: with so many digits that it is never rounded up to what it was not. */
export function describeNines({ availability, wasDown }: AvailabilitySum): string {
  if (availability === null) return texts.availability.unseen
  if (!wasDown) return '100 %'
  // A hair's breadth, for what binary fractions make of 0.99999.
  const hair = 1e-6
  const nines = Math.floor(-Math.log10(1 - availability) + hair)
  const digits = Math.min(6, Math.max(1, nines - 1))
  const factor = 10 ** digits
  return `${(Math.floor(availability * 100 * factor + hair) / factor).toFixed(digits)} %`
}
