/**
 * Measures the host and its machines at a steady beat and tells the controller. Nothing depends on it: a report that gets lost is a gap in
 * a chart, and is not sent again.
 */
import type { Clock } from '../../model/clock.ts'
import { type FigureReport, figuresEveryMs } from '../../model/figures.ts'
import type { Logger } from '../../model/logger.ts'
import { cardsOf } from '../machines/machine-cards.ts'
import type { MachineCgroups } from '../machines/machine-ports.ts'
import type { MachineRoom } from '../machines/machine-room.ts'
import { figuresBetween } from './figures-between.ts'
import type { HostMeter, Measurement } from './host-meter.ts'
import { createPauseWatch } from './watch-pauses.ts'

export type FigureReporting = {
  readonly room: Pick<MachineRoom, 'orders' | 'keeper'>
  readonly cgroups: Pick<MachineCgroups, 'directory'>
  readonly meter: HostMeter
  readonly clock: Clock
  readonly logger: Logger
  readonly signal: AbortSignal
  post(report: FigureReport): Promise<unknown>
}

/** Resolves when the signal aborts. Never rejects. */
export async function reportFigures(reporting: FigureReporting): Promise<void> {
  const { clock, logger, signal } = reporting
  const pauses = createPauseWatch(clock)
  let before: { readonly measurement: Measurement; readonly atMs: number } | undefined
  let isFailing = false
  while (!signal.aborted) {
    try {
      const running = runningOf(reporting)
      const measurement = await reporting.meter.measure(running.map(({ metered }) => metered))
      const atMs = clock.bootTimeMs()
      const pauseOf = new Map(running.map(({ metered, machine }) => [metered.vmId, pauses.longestMs(machine)]))
      const last = before
      before = { measurement, atMs }
      if (last !== undefined)
        await reporting.post(
          reportOf(last.measurement, measurement, {
            elapsedMs: atMs - last.atMs,
            pauseOf: (vmId) => pauseOf.get(vmId) ?? 0,
          }),
        )
      isFailing = false
    } catch (error) {
      if (!isFailing) logger.warn('figures.not-told', { error })
      isFailing = true
    }
    await clock.sleep(figuresEveryMs, signal)
  }
}

/** A machine that was not there before has figures from the next time on. */
function reportOf(
  before: Measurement,
  after: Measurement,
  {
    elapsedMs,
    pauseOf,
  }: { readonly elapsedMs: number; pauseOf(vmId: FigureReport['machines'][number]['vmId']): number },
): FigureReport {
  return {
    host: figuresBetween(before.host, after.host, { elapsedMs, pauseMs: after.stallMs }),
    machines: [...after.machines].flatMap(([vmId, counters]) => {
      const earlier = before.machines.get(vmId)
      if (earlier === undefined) return []
      return [{ vmId, figures: figuresBetween(earlier, counters, { elapsedMs, pauseMs: pauseOf(vmId) }) }]
    }),
  }
}

function runningOf({ room, cgroups }: FigureReporting) {
  return room.orders().flatMap(({ vmId }) => {
    const keeper = room.keeper(vmId)
    const machine = keeper?.running()
    if (keeper === undefined || machine === undefined) return []
    const record = keeper.record()
    const tapNames = cardsOf(record.machine, record.tapName).map(({ tapName }) => tapName)
    return [{ machine, metered: { vmId, pid: machine.pid, cgroupDirectory: cgroups.directory(vmId), tapNames } }]
  })
}
