/**
 * Watches whether a machine's service gives correct answers: when it begins to, when it ceases to, and when it does so again, each between
 * two instants that are as near to each other as can be measured without a burden.
 *
 * While all is well, checks begin at the probe's own interval. While the service doesn't answer correctly they begin every 5 ms; the first
 * correct answer to one that was begun after the failure ends that.
 */
import type { Clock } from '../../model/clock.ts'
import type { VmId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import type { Probe } from '../../model/recovery/probe.ts'
import {
  type BegunCheck,
  forgetVerdict,
  type Judged,
  type Judgement,
  judgeAnswer,
  judgeSign,
  nothingKnown,
  type ProbeChange,
  type ProbeState,
} from './judge-answers.ts'
import { hurriedIntervalMs, patienceMs } from './probe-pace.ts'
import type { CheckOnce, RunInGuest } from './service-check.ts'

export type { ProbeChange, ProbeState } from './judge-answers.ts'
export type { CheckAnswer, CheckOnce, CheckQuestion, RunInGuest } from './service-check.ts'

export type Prober = {
  /** Looks from now on; also after `pause`. The first answer is told as `began`. Doing it twice is fine. */
  start(): void
  /** Nobody looks until `start`: a planned pause or stop. No verdict comes from what was asked before. */
  pause(): void
  /**
   * The machine is known to have failed: its answer counts as lost from now on, what was asked until now is void, and it is asked every
   * 5 ms until it answers. While paused it does nothing.
   */
  hurry(reason: string): void
  /** For good. */
  stop(): void
  state(): ProbeState
}

export type ProberOptions = {
  readonly target: { readonly vmId: VmId; readonly address: string }
  readonly probe: Probe
  readonly runInGuest?: RunInGuest | undefined
  readonly checkOnce: CheckOnce
  readonly clock: Clock
  readonly logger: Logger
  /** Each change once, in the order of time. Must not throw. */
  readonly onChange: (change: ProbeChange) => void
}

/** One stretch of looking, from `start` or `hurry` to the next of them, `pause` or `stop`. */
type Watch = {
  isOver: boolean
  /** Aborted to end the wait for the next check. */
  waiting: AbortController
  /** Aborted with the first correct answer, to end all that is in flight beside it. */
  inFlight: AbortController
  hurriedSinceMs: number | undefined
  hurriedChecks: number
  pending: number
}

/** So many checks may wait for an answer while all is well: a service that has long to answer is asked less often when it does take long. */
const maximumPending = 8

/** Does nothing until `start`. */
export function createProber(options: ProberOptions): Prober {
  const { clock, logger, onChange, target } = options
  let judgement: Judgement = nothingKnown
  let watch: Watch | undefined
  let isStopped = false
  let newest = 0

  const apply = ({ judgement: next, changes }: Judged) => {
    judgement = next
    for (const change of changes) {
      logger.info(`probe.${change.kind}`, { vmId: target.vmId, ...change })
      onChange(change)
    }
  }
  const leave = () => {
    if (watch === undefined) return
    watch.isOver = true
    watch.waiting.abort()
    watch.inFlight.abort()
    watch = undefined
  }
  const begin = (current: Watch): Promise<void> => {
    newest += 1
    const check = { number: newest, begunAt: clock.wallTime(), begunAtMs: clock.bootTimeMs() }
    const timeoutMs = nextPatienceMs(current, check.begunAtMs, options)
    current.pending += 1
    return askOnce({ check: { ...check, timeoutMs }, signal: current.inFlight.signal }, options, (judge) => {
      current.pending -= 1
      if (judge !== undefined) settle(current, judge)
    })
  }
  const settle = (current: Watch, judge: (judgement: Judgement) => Judged) => {
    const judged = judge(judgement)
    const isCorrect = judged.judgement.state.verdict === 'correct'
    if (!isCorrect && current.hurriedSinceMs === undefined) {
      current.hurriedSinceMs = clock.bootTimeMs()
      current.waiting.abort()
    } else if (isCorrect && current.hurriedSinceMs !== undefined) {
      current.inFlight.abort()
      Object.assign(current, calm())
    }
    apply(judged)
  }
  const look = () => {
    const current = newWatch(clock.bootTimeMs())
    watch = current
    void keepAsking(current, begin, options)
  }
  const pause = () => {
    leave()
    judgement = forgetVerdict(judgement)
  }
  return {
    start() {
      if (watch === undefined && !isStopped) look()
    },
    pause,
    hurry(reason) {
      if (watch === undefined) return
      const sign = { at: clock.wallTime(), reason, newest }
      leave()
      look()
      apply(judgeSign(judgement, sign))
    },
    stop() {
      isStopped = true
      pause()
    },
    state: () => judgement.state,
  }
}

function newWatch(nowMs: number): Watch {
  return { isOver: false, waiting: new AbortController(), ...calm(), hurriedSinceMs: nowMs, pending: 0 }
}

function calm(): Pick<Watch, 'inFlight' | 'hurriedSinceMs' | 'hurriedChecks'> {
  return { inFlight: new AbortController(), hurriedSinceMs: undefined, hurriedChecks: 0 }
}

/** Begins check after check until the watch ends. In the guest one after the other, since it runs one program at a time. */
async function keepAsking(
  watch: Watch,
  begin: (watch: Watch) => Promise<void>,
  { clock, probe }: ProberOptions,
): Promise<void> {
  while (!watch.isOver) {
    const begunAtMs = clock.bootTimeMs()
    if (probe.check.kind === 'exec') await begin(watch)
    else if (watch.hurriedSinceMs !== undefined || watch.pending < maximumPending) void begin(watch)
    if (watch.isOver) return
    const nowMs = clock.bootTimeMs()
    if (watch.waiting.signal.aborted) watch.waiting = new AbortController()
    await clock.sleep(Math.max(0, intervalMs(watch, nowMs, probe) - (nowMs - begunAtMs)), watch.waiting.signal)
  }
}

function intervalMs({ hurriedSinceMs }: Watch, nowMs: number, { everyMs }: Probe): number {
  return hurriedSinceMs === undefined ? everyMs : hurriedIntervalMs(nowMs - hurriedSinceMs, everyMs)
}

function nextPatienceMs(watch: Watch, nowMs: number, { probe }: ProberOptions): number {
  if (watch.hurriedSinceMs === undefined || probe.check.kind === 'exec') return probe.maxLatencyMs
  const number = watch.hurriedChecks
  watch.hurriedChecks += 1
  return patienceMs(number, intervalMs(watch, nowMs, probe), probe.maxLatencyMs)
}

/** Hands on how the answer is to be judged; undefined when it was given up before. */
async function askOnce(
  { check, signal }: { readonly check: BegunCheck; readonly signal: AbortSignal },
  { checkOnce, probe, target, runInGuest, clock }: ProberOptions,
  onEnd: (judge: ((judgement: Judgement) => Judged) | undefined) => void,
): Promise<void> {
  const { timeoutMs } = check
  const answer = await checkOnce({ check: probe.check, address: target.address, timeoutMs, runInGuest, signal })
  if (signal.aborted) onEnd(undefined)
  else onEnd((judgement) => judgeAnswer(judgement, { check, answer, at: clock.wallTime() }, probe))
}
