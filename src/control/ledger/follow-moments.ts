/** Goes through the moments of a service: what each kind of record changes in what is known of it. */
import type { ControllerFact } from '../../model/ledger/ledger-entry.ts'
import type { FailureCause } from '../../model/recovery/recovery-policy.ts'
import type { RecoveryRecord } from '../../model/recovery/recovery-record.ts'
import type { Moment } from './order-moments.ts'
import {
  beginFailure,
  type Course,
  closeLooker,
  closeSilentOwn,
  endFailure,
  endSilence,
  enterPhase,
  type Looker,
  noteLastCorrect,
  openLooker,
  passTime,
  type Role,
  seeCorrect,
  type View,
} from './service-course.ts'

/** After these no process can answer; after the others the probes have the last word. */
const hardCauses: readonly FailureCause[] = ['process-died', 'guest-panicked', 'host-died']
/** A machine's first check ends so soon after its start, at the latest: until then nobody knows that it has a probe. */
const proberComesWithinMs = 65_000

type Told<Kind extends RecoveryRecord['kind']> = Extract<RecoveryRecord, { kind: Kind }>
type Fact<Kind extends ControllerFact['kind']> = Extract<ControllerFact, { kind: Kind }>

export function followMoment(course: Course, moment: Moment): void {
  const { record, atMs } = moment
  if (course.isDeleted) return
  passTime(course, atMs)
  signLookers(course, moment)
  switch (record.kind) {
    case 'probing-began':
    case 'probing-ended':
    case 'answer-lost':
    case 'answer-back':
      return followProber(course, moment, record)
    case 'failure-detected':
      return findFailure(course, moment, record)
    case 'machine-started':
      return startMachine(course, moment, record)
    case 'rung-ended':
      return endRung(course, moment, record)
    case 'planned':
      return planByAgent(course, atMs, record)
    case 'planned-began':
    case 'planned-ended':
      return plan(course, atMs, record)
    case 'host-suspect':
      return suspectHost(course, moment, record)
    case 'host-heard':
      return hearHost(course, atMs, record)
    case 'session-began':
      return beginSession(course, moment, record)
    case 'host-proven-dead':
      return buryHost(course, moment, record)
    case 'drill-began':
    case 'drill-ended':
      course.isDrilled = record.kind === 'drill-began'
      return course.tracks.drill.change(course.isDrilled ? record.drillId : null, atMs)
    case 'rung-begun':
    case 'decided':
    case 'cell-restart':
      break
  }
}

/** Whatever a session tells shows that it was alive. */
function signLookers(course: Course, { hostId, session, atMs }: Moment): void {
  if (session === null) return
  if (course.own?.session === session) course.own = { ...course.own, signMs: Math.max(course.own.signMs, atMs) }
  if (course.other?.session === session) course.other = { ...course.other, signMs: Math.max(course.other.signMs, atMs) }
  course.homeId ??= hostId
}

function followProber(
  course: Course,
  moment: Moment,
  record: Told<'probing-began' | 'probing-ended' | 'answer-lost' | 'answer-back'>,
): void {
  const { atMs, hostId, session, timeOf } = moment
  if (hostId === null || session === null) return
  const role: Role = record.prober
  const isSame = course[role]?.session === session
  // Who has looked before, and was replaced, has no more to say.
  const isStale = course[role] !== null && !isSame && course[role].hostId !== hostId && record.kind !== 'probing-began'
  if (isStale) return
  const look = (view: View, signMs: number) => replaceLooker(course, role, { hostId, session, view, signMs })
  switch (record.kind) {
    case 'probing-ended':
      return isSame ? closeLooker(course, role, atMs) : undefined
    case 'probing-began': {
      look(record.isCorrect ? 'correct' : 'wrong', atMs)
      if (record.isCorrect) seeCorrect(course, role, atMs)
      else course.wrongMs.push(atMs)
      break
    }
    case 'answer-lost': {
      const correctMs = record.lastCorrectAt === null ? null : timeOf(record.lastCorrectAt)
      if (!isSame && correctMs !== null) {
        look('correct', correctMs)
        seeCorrect(course, role, correctMs)
      }
      if (correctMs !== null) noteLastCorrect(course, correctMs)
      course.wrongMs.push(atMs)
      return look('wrong', atMs)
    }
    case 'answer-back': {
      if (record.lastWrongAt !== null) course.wrongMs.push(timeOf(record.lastWrongAt))
      look('correct', atMs)
      return seeCorrect(course, role, atMs)
    }
  }
}

function replaceLooker(course: Course, role: Role, looker: Looker): void {
  if (role === 'own') {
    if (!course.isProbed) findProbe(course, looker)
    if (course.homeId !== looker.hostId || course.own?.session !== looker.session) {
      course.homeId = looker.hostId
      endSilence(course, 'blind', looker.signMs)
    }
  } else course.silentOther = null
  const before = course[role]
  // An agent that began anew without anybody noticing: since its last record it may not have looked.
  if (before !== null && before.session !== looker.session && before.hostId === looker.hostId)
    closeLooker(course, role, before.signMs)
  openLooker(course, role, looker)
}

/** That a process ran is no answer of a service that has a probe: a start that was taken for the end of it goes on. */
function findProbe(course: Course, { view, signMs }: Looker): void {
  const { runningSinceMs: sinceMs, phase, failure } = course
  course.isProbed = true
  course.tracks.process.change(null, signMs)
  if (view === 'correct' || sinceMs === null || phase !== null || failure !== null) return
  if (signMs - sinceMs > proberComesWithinMs) return
  course.tracks.process.change(null, sinceMs)
  enterPhase(course, 'starting', sinceMs)
}

function findFailure(course: Course, { atMs, hostId, timeOf }: Moment, record: Told<'failure-detected'>): void {
  // A stop looks like a death, and a host that lost the machine may still tell of it.
  if (course.phase?.kind === 'away' || (course.homeId !== null && course.homeId !== hostId)) return
  const { cause, detail, failedAt } = record
  const failedMs = failedAt === null ? null : timeOf(failedAt)
  beginFailure(course, hardCauses.includes(cause) ? 'hard' : 'soft', { atMs, failedMs, cause, detail })
}

function startMachine(course: Course, { atMs, hostId }: Moment, { rung }: Told<'machine-started'>): void {
  if (hostId !== null && hostId !== course.homeId) {
    endSilence(course, 'blind', atMs)
    closeLooker(course, 'own', atMs)
    course.homeId = hostId
  }
  course.runningSinceMs = atMs
  if (!course.isProbed) {
    course.tracks.process.change(true, atMs)
    seeCorrect(course, 'own', atMs)
    if (course.phase?.kind === 'away') enterPhase(course, null, atMs)
  } else if (course.phase?.kind === 'away' && rung === null) enterPhase(course, 'starting', atMs)
}

function endRung(course: Course, { atMs, hostId }: Moment, { isCured }: Told<'rung-ended'>): void {
  if (!isCured) return void course.wrongMs.push(atMs)
  if (course.homeId !== hostId || course.phase?.kind === 'away') return
  if (course.own?.view === 'wrong') openLooker(course, 'own', { ...course.own, view: 'correct', signMs: atMs })
  seeCorrect(course, 'own', atMs)
}

function planByAgent(course: Course, atMs: number, { what }: Told<'planned'>): void {
  if (what === 'stopped' || what === 'paused') {
    goAway(course, atMs)
    if (course.phase !== null) course.phase = { ...course.phase, isGone: true }
  } else if (course.phase?.kind === 'away') enterPhase(course, 'starting', atMs)
}

function plan(course: Course, atMs: number, { kind, what }: Fact<'planned-began' | 'planned-ended'>): void {
  if (kind === 'planned-began') {
    if (what !== 'start') return goAway(course, atMs)
    // A person who starts what has failed is part of its repair.
    const isAwaited = course.phase === null && (course.failure !== null || authority(course) !== null)
    return isAwaited ? undefined : enterPhase(course, 'starting', atMs)
  }
  if (what === 'delete') {
    endFailure(course, atMs)
    enterPhase(course, null, atMs)
    for (const role of ['own', 'other'] as const) closeLooker(course, role, atMs)
    course.tracks.process.change(null, atMs)
    course.isDeleted = true
  } else if (course.phase?.kind === 'away') {
    const hasStayed = authority(course)?.view === 'correct' && !course.phase.isGone
    enterPhase(course, hasStayed ? null : 'starting', atMs)
  }
}

function goAway(course: Course, atMs: number): void {
  endFailure(course, atMs)
  if (course.phase?.kind !== 'away') enterPhase(course, 'away', atMs)
}

function authority({ own, other }: Course): Looker | null {
  return own ?? other
}

function suspectHost(course: Course, { atMs, timeOf }: Moment, record: Fact<'host-suspect'>): void {
  const { hostId, lastHeardAt } = record
  const heardMs = lastHeardAt === null ? atMs : timeOf(lastHeardAt)
  if (course.other?.hostId === hostId) {
    course.silentOther = course.other
    closeLooker(course, 'other', heardMs)
  }
  course.homeId ??= hostId
  if (course.homeId !== hostId || course.silence !== null) return
  const signMs = course.own?.signMs ?? course.runningSinceMs ?? heardMs
  const fromMs = Math.max(heardMs, Math.min(signMs, atMs))
  course.silence = { hostId, fromMs, noticedMs: atMs }
  course.tracks.silence.change('blind', fromMs)
  noteCorrectUntil(course, fromMs)
}

/** What the last heartbeat told was still true when it was sent. */
function noteCorrectUntil(course: Course, heardMs: number): void {
  const isServing = course.isProbed ? course.own?.view === 'correct' : course.runningSinceMs !== null
  if (isServing && course.failure === null && course.phase === null) noteLastCorrect(course, heardMs)
}

function hearHost(course: Course, atMs: number, { hostId }: Fact<'host-heard'>): void {
  if (course.silence?.hostId === hostId) endSilence(course, 'bridged', atMs)
  if (course.silentOther?.hostId !== hostId) return
  openLooker(course, 'other', { ...course.silentOther, signMs: atMs })
  course.silentOther = null
}

function beginSession(course: Course, { atMs, timeOf }: Moment, record: Fact<'session-began'>): void {
  const { hostId, session, lastHeardAt } = record
  const heardMs = lastHeardAt === null ? 0 : timeOf(lastHeardAt)
  if (course.silentOther?.hostId === hostId) course.silentOther = null
  if (course.other?.hostId === hostId && course.other.session !== session) closeLooker(course, 'other', heardMs)
  if (course.homeId !== hostId || course.own?.session === session) return
  if (course.silence === null) {
    const fromMs = Math.max(heardMs, course.own?.signMs ?? course.runningSinceMs ?? atMs)
    course.silence = { hostId, fromMs, noticedMs: atMs }
    course.tracks.silence.change('blind', fromMs)
    noteCorrectUntil(course, fromMs)
  }
  endSilence(course, 'blind', atMs)
}

function buryHost(course: Course, moment: Moment, record: Fact<'host-proven-dead'>): void {
  const { atMs } = moment
  const { hostId, proof } = record
  if (course.silentOther?.hostId === hostId) course.silentOther = null
  if (course.silence === null && course.failure === null)
    suspectHost(course, moment, { ...record, kind: 'host-suspect' })
  if (course.other?.hostId === hostId) closeLooker(course, 'other', course.other.signMs)
  if (course.homeId !== hostId || course.silence?.hostId !== hostId) return
  const { fromMs, noticedMs } = course.silence
  const lastSignMs = course.own?.signMs ?? 0
  closeSilentOwn(course)
  if (course.phase?.kind === 'away') return
  // Its last words, and another prober that still gets answers, say that it lived on for so long.
  const sinceMs = course.other?.view === 'correct' ? atMs : Math.max(noticedMs, lastSignMs)
  const detail = `its host is proven dead: ${proof}`
  beginFailure(course, 'hard', { atMs: Math.min(sinceMs, atMs), failedMs: fromMs, cause: 'host-died', detail })
}
