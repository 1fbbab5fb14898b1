/** What would be done after each kind of failure of a VM, as it stands now, and what would be lost. Pure; nothing is carried out. */
import type { RecoveryPlan } from '../../model/api/recovery-routes.ts'
import { type LadderQuestion, type LadderStep, planLadder } from '../../model/recovery/ladder.ts'
import { estimateRung, type LadderStatistics } from '../../model/recovery/ladder-statistics.ts'
import { type FailureCause, failureCauseSchema, type Rung, rungSchema } from '../../model/recovery/recovery-policy.ts'
import { describeLoss, loses } from './describe-loss.ts'
import type { RecoveryFacts } from './recovery-facts.ts'

type CausePlan = RecoveryPlan['causes'][number]
type Try = Extract<LadderStep, { readonly kind: 'try' }>

export function planRecovery(facts: RecoveryFacts): RecoveryPlan {
  return {
    vmName: facts.vm.name,
    recovery: facts.vm.recovery,
    loss: describeLoss(lossFactsOf(facts)),
    warnings: warningsOf(facts),
    causes: failureCauseSchema.options.map((cause) => planCause(facts, cause)),
    byHand: rungSchema.options.map((rung) => ({
      rung,
      obstacle: byHandObstacle(facts, rung),
      loses: loses(rung, lossFactsOf(facts)),
    })),
  }
}

function planCause(facts: RecoveryFacts, cause: FailureCause): CausePlan {
  const found = howFound(facts, cause)
  if (cause === 'wrong-answers' && facts.vm.probe === null)
    return { cause, found, steps: [], expectedMs: null, otherwise: 'Nothing is done: nobody would notice.' }
  const question: LadderQuestion = {
    recovery: facts.vm.recovery,
    cause,
    unavailable: obstaclesOf(facts, cause),
    attempts: [],
    failureTimesMs: [0],
    statistics: facts.statistics,
    mayRebuildRoot: false,
    nowMs: 0,
  }
  const plan = planLadder(question)
  const tries = plan.filter((step) => step.kind === 'try')
  const end = plan.find((step) => step.kind === 'needs-person')
  return {
    cause,
    found,
    steps: tries.map(({ rung, waitMs, expectedMs, probabilityOfCure, reason }) => {
      const lost = loses(rung, lossFactsOf(facts))
      return { rung, waitMs, expectedMs, probabilityOfCure, loses: lost, reason }
    }),
    expectedMs: expectedUntilServing(tries, { cause, statistics: facts.statistics }),
    otherwise: capitalized(end?.reason ?? ''),
  }
}

/** The mean time until it serves, over the cases in which one of the steps cures it. */
function expectedUntilServing(
  tries: readonly Try[],
  { cause, statistics }: { readonly cause: FailureCause; readonly statistics: LadderStatistics },
): number | null {
  let chanceToGetHere = 1
  let passedMs = 0
  let sumMs = 0
  for (const { rung, waitMs, expectedMs, probabilityOfCure } of tries) {
    sumMs += chanceToGetHere * probabilityOfCure * (passedMs + waitMs + expectedMs)
    passedMs += waitMs + (estimateRung(statistics, cause, rung)?.failedMs ?? 0)
    chanceToGetHere *= 1 - probabilityOfCure
  }
  return tries.length === 0 ? null : sumMs / (1 - chanceToGetHere)
}

function obstaclesOf(facts: RecoveryFacts, cause: FailureCause): Partial<Record<Rung, string>> {
  const { image, staysBecause, unavailable } = facts
  const noImage = image === null ? whyNoImage(facts) : undefined
  const elsewhere = noImage ?? staysBecause
  return {
    ...unavailable,
    ...(noImage === undefined ? {} : { 'resume-here': noImage }),
    ...(elsewhere === undefined ? {} : { 'resume-elsewhere': elsewhere }),
    // Here means the host that is gone.
    ...(cause === 'host-died' && staysBecause !== undefined
      ? { boot: `${staysBecause}, so it waits until ${facts.hostName ?? 'its host'} is back` }
      : {}),
  }
}

function byHandObstacle(facts: RecoveryFacts, rung: Rung): string | null {
  if (facts.vm.recovery.mode === 'boot' && (rung === 'resume-here' || rung === 'resume-elsewhere'))
    return 'its owner declared that it boots: it has no image'
  return obstaclesOf(facts, 'unknown')[rung] ?? null
}

function warningsOf(facts: RecoveryFacts): string[] {
  const { vm, image, hasSpare, note, hostName } = facts
  const noProbe = vm.probe === null ? ['It has no probe: a service that answers wrongly would not be noticed.'] : []
  if (vm.recovery.mode === 'boot') return noProbe
  if (image === null) return [`It would boot: ${whyNoImage(facts)}.`, ...noProbe]
  const noSpare = `No process waits on ${hostName ?? 'its host'} to take it over: a resume there takes somewhat longer.`
  const aboutElsewhere = warningAboutElsewhere(facts)
  return [
    ...(note === '' ? [] : [`${capitalized(note)}.`]),
    ...(hasSpare ? [] : [noSpare]),
    ...(aboutElsewhere === undefined ? [] : [aboutElsewhere]),
    ...noProbe,
  ]
}

function warningAboutElsewhere({ isImageOnStandby, standbyHostName, staysBecause }: RecoveryFacts): string | undefined {
  if (staysBecause !== undefined) return `It is not recovered on another host: ${staysBecause}.`
  if (isImageOnStandby) return undefined
  return standbyHostName === null
    ? 'No standby is chosen yet: on another host its image is fetched first.'
    : `Its newest image is not on its standby ${standbyHostName} yet: there it is fetched first.`
}

function whyNoImage({ note, vm }: RecoveryFacts): string {
  const what = vm.recovery.mode === 'checkpoint' ? 'checkpoint' : 'memory image'
  return `there is no ${what} of it yet${note === '' ? '' : ` (${note})`}`
}

function howFound({ vm, hostName }: RecoveryFacts, cause: FailureCause): string {
  const host = hostName ?? 'its host'
  switch (cause) {
    case 'process-died':
      return `${host} sees the end of its process within some 15 ms.`
    case 'guest-panicked':
      return 'Its kernel tells through its panic device.'
    case 'guest-hung':
      return 'Its watchdog device is not fed any more.'
    case 'wrong-answers':
      return vm.probe === null
        ? 'Never: it has no probe.'
        : `Its probe gets ${vm.probe.failuresAllowed} wrong answers in a row, asking every ${vm.probe.everyMs} ms.`
    case 'storage-lost':
      return 'Its process reports that its disk cannot be read or written.'
    case 'host-died':
      return `${host} falls silent. Nothing starts elsewhere before it is proven dead: that time comes before the first step.`
    case 'unknown':
      return 'It is down, and nothing tells why; also a recovery by hand begins like this.'
  }
}

function lossFactsOf({ vm, image, note }: RecoveryFacts) {
  return { recovery: vm.recovery, image, note }
}

function capitalized(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1)
}
