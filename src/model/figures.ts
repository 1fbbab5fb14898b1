/** What hosts and machines take of processors, memory, disks and network, and how long they stood still: as figures over time. */
import { z } from 'zod'
import { vmIdSchema } from './ids.ts'

/** In this order wherever they are rows of numbers. */
export const figureNames = [
  'cpuPercent',
  'memoryMiB',
  'diskReadKiBPerSecond',
  'diskWriteKiBPerSecond',
  'networkInKiBPerSecond',
  'networkOutKiBPerSecond',
  'pauseMs',
] as const
export type FigureName = (typeof figureNames)[number]

const figure = z.number().min(0)

export const figuresSchema = z.object({
  /** 100 is one processor, all of the time. */
  cpuPercent: figure,
  memoryMiB: figure,
  diskReadKiBPerSecond: figure,
  diskWriteKiBPerSecond: figure,
  /** What it is sent. */
  networkInKiBPerSecond: figure,
  networkOutKiBPerSecond: figure,
  /** The longest time, since the figures before, in which a machine stood still; of a host, for which its agent did not get to run. */
  pauseMs: figure,
})
export type Figures = z.infer<typeof figuresSchema>

/** What an agent has measured since it sent the one before. */
export const figureReportSchema = z.object({
  host: figuresSchema,
  machines: z.array(z.object({ vmId: vmIdSchema, figures: figuresSchema })),
})
export type FigureReport = z.infer<typeof figureReportSchema>

/** How often agents measure: the finest step that is kept. */
export const figuresEveryMs = 5_000

/** How far back one looks, and the steps in which. */
export const figureSpans = {
  hour: { spanMs: 3_600_000, stepMs: figuresEveryMs },
  week: { spanMs: 7 * 86_400_000, stepMs: 300_000 },
  year: { spanMs: 365 * 86_400_000, stepMs: 7_200_000 },
} as const
export const figureSpanSchema = z.enum(['hour', 'week', 'year'])
export type FigureSpan = z.infer<typeof figureSpanSchema>

export const noFigures: Figures = {
  cpuPercent: 0,
  memoryMiB: 0,
  diskReadKiBPerSecond: 0,
  diskWriteKiBPerSecond: 0,
  networkInKiBPerSecond: 0,
  networkOutKiBPerSecond: 0,
  pauseMs: 0,
}

export function addFigures(left: Figures, right: Figures): Figures {
  return {
    cpuPercent: left.cpuPercent + right.cpuPercent,
    memoryMiB: left.memoryMiB + right.memoryMiB,
    diskReadKiBPerSecond: left.diskReadKiBPerSecond + right.diskReadKiBPerSecond,
    diskWriteKiBPerSecond: left.diskWriteKiBPerSecond + right.diskWriteKiBPerSecond,
    networkInKiBPerSecond: left.networkInKiBPerSecond + right.networkInKiBPerSecond,
    networkOutKiBPerSecond: left.networkOutKiBPerSecond + right.networkOutKiBPerSecond,
    pauseMs: Math.max(left.pauseMs, right.pauseMs),
  }
}

export function scaleFigures(figures: Figures, factor: number): Figures {
  return {
    cpuPercent: figures.cpuPercent * factor,
    memoryMiB: figures.memoryMiB * factor,
    diskReadKiBPerSecond: figures.diskReadKiBPerSecond * factor,
    diskWriteKiBPerSecond: figures.diskWriteKiBPerSecond * factor,
    networkInKiBPerSecond: figures.networkInKiBPerSecond * factor,
    networkOutKiBPerSecond: figures.networkOutKiBPerSecond * factor,
    pauseMs: figures.pauseMs,
  }
}
