/** What the ledger says about a service over a window of time. */
import { z } from 'zod'

const ms = z.number().min(0)

/** How long it was in each condition. Together exactly the window. */
export const conditionSumsSchema = z.object({
  upMs: ms,
  degradedMs: ms,
  /** Down without anybody having wanted it. */
  downMs: ms,
  /** Down by a failure that was injected on purpose. */
  drillDownMs: ms,
  plannedMs: ms,
  unobservedMs: ms,
})
export type ConditionSums = z.infer<typeof conditionSumsSchema>

/** A bound that can't be given is null: without a failure there is no upper one. */
export const boundsSchema = z.object({ low: z.number().nullable(), high: z.number().nullable() })
export type Bounds = z.infer<typeof boundsSchema>

export const availabilityFiguresSchema = z.object({
  /** On how many outages, begun in the window, all of this rests. */
  failures: z.number().int().min(0),
  /** Of these: how many were answered again, so that their durations count in the times to recover. */
  recoveries: z.number().int().min(0),
  /** Time up (or degraded) for each failure; null without one. */
  mttfMs: z.number().nullable(),
  mttrMeanMs: z.number().nullable(),
  mttrMedianMs: z.number().nullable(),
  mttrP99Ms: z.number().nullable(),
  /** up / (up + down); null when neither was seen. */
  availability: z.number().min(0).max(1).nullable(),
  /** -log10(1 - availability); null when it was never down, or never seen. */
  nines: z.number().nullable(),
  /** 95 % intervals; see src/control/ledger/availability.ts for the method. */
  mttfBoundsMs: boundsSchema,
  availabilityBounds: boundsSchema,
})
export type AvailabilityFigures = z.infer<typeof availabilityFiguresSchema>

export const windowMinimumSchema = z.object({
  windowMs: z.number().min(1),
  /** The availability of the worst window of this size; null where none was seen. */
  availability: z.number().min(0).max(1).nullable(),
})
export type WindowMinimum = z.infer<typeof windowMinimumSchema>

export const availabilitySchema = z.object({
  since: z.iso.datetime(),
  until: z.iso.datetime(),
  /** Up, degraded or down: the time in which somebody looked and an answer was expected. */
  observedMs: ms,
  sums: conditionSumsSchema,
  /** What nobody wanted. Drills are neither up nor down in it. */
  real: availabilityFiguresSchema,
  /** Drills alone, as if each had been a failure. */
  drills: availabilityFiguresSchema,
  /** Both together. */
  withDrills: availabilityFiguresSchema,
  /** Without drills. */
  windowMinimums: z.array(windowMinimumSchema),
})
export type Availability = z.infer<typeof availabilitySchema>
