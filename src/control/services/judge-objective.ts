/** Whether what a service promises can be kept, by arithmetic alone: from the way its machines recover and how often they may fail. */
import { emptyStatistics, estimateRung } from '../../model/recovery/ladder-statistics.ts'
import type { Probe } from '../../model/recovery/probe.ts'
import type { Recovery } from '../../model/recovery/recovery-policy.ts'
import {
  type FileProblem,
  millisecondsOf,
  type ServiceComponent,
  type ServiceFile,
} from '../../model/service/service-file.ts'

const usualProbe: Pick<Probe, 'everyMs'> = { everyMs: 250 }

/** How a component's machines come back. */
export function recoveryOf(file: Pick<ServiceFile, 'recovery'>, component: ServiceComponent): Recovery {
  const wish = component.recovery ?? file.recovery
  return typeof wish === 'string' ? { mode: wish } : wish
}

/** From the failure of one of its machines until that serves again, as it is to be expected before anything is measured. */
export function expectedAwayMs(recovery: Recovery, probe: Pick<Probe, 'everyMs'> | undefined): number {
  const rung = recovery.mode === 'boot' ? 'boot' : 'resume-here'
  const { curedMs = 0 } = estimateRung(emptyStatistics, 'process-died', rung) ?? {}
  return (probe ?? usualProbe).everyMs + curedMs
}

/** What of it can't be kept, with the numbers. */
export function judgeObjective(file: ServiceFile): readonly FileProblem[] {
  return [...judgeTime(file), ...judgeAvailability(file)]
}

/** Where several replicas serve, one of them fails without the component being away. */
function judgeTime(file: ServiceFile): readonly FileProblem[] {
  if (file.recoverWithin === undefined) return []
  const limitMs = millisecondsOf(file.recoverWithin)
  return Object.entries(file.components).flatMap(([name, component]) => {
    const recovery = recoveryOf(file, component)
    const awayMs = expectedAwayMs(recovery, component.probe)
    if (component.replicas > 1 || awayMs <= limitMs) return []
    const warmMs = expectedAwayMs({ mode: 'warm' }, component.probe)
    const advice =
      recovery.mode === 'boot' && warmMs <= limitMs
        ? `let it recover warm (about ${warmMs} ms), or give it a second replica`
        : 'promise more time, or give it a second replica'
    const message = `${name} can't be back within ${limitMs} ms: it recovers by ${wordOf(recovery)}, which takes about ${awayMs} ms until it is found and over; ${advice}`
    return [{ path: ['recoverWithin'], message }]
  })
}

function judgeAvailability(file: ServiceFile): readonly FileProblem[] {
  if (file.availability === undefined) return []
  const expected = expectedAvailability(file)
  if (expected.percent >= file.availability) return []
  const { name, awayMs } = expected.weakest
  const message = `${file.availability} per cent can't be reached: with a failure of each machine every ${file.assumedMttf}, ${expected.percent.toFixed(6)} per cent are to be expected; most is lost by ${name}, which is away for about ${Math.round(awayMs)} ms each time: let it recover warm, or give it more replicas`
  return [{ path: ['availability'], message }]
}

/** Of the service as a whole: every component needs one replica that serves, and replicas fail independently. */
export function expectedAvailability(file: ServiceFile): {
  readonly percent: number
  readonly weakest: { readonly name: string; readonly awayMs: number }
} {
  const mttfMs = millisecondsOf(file.assumedMttf)
  const parts = Object.entries(file.components).map(([name, component]) => {
    const awayMs = expectedAwayMs(recoveryOf(file, component), component.probe)
    const awayShare = awayMs / (mttfMs + awayMs)
    return { name, awayMs, up: 1 - awayShare ** component.replicas }
  })
  const weakest = parts.toSorted((left, right) => left.up - right.up)[0] ?? { name: file.service, awayMs: 0 }
  return { percent: parts.reduce((product, { up }) => product * up, 1) * 100, weakest }
}

function wordOf({ mode }: Recovery): string {
  return mode === 'boot' ? 'booting' : `resuming (${mode})`
}
