/**
 * What is known of a service while its moments are gone through in order: who looks, what they see, whether it has failed, is planned to be
 * away, or its host is silent. Every change is kept as spans, from which conditions are derived afterwards.
 */
import type { HostId, SessionId } from '../../model/ids.ts'
import type { FailureCause } from '../../model/recovery/recovery-policy.ts'
import { createSpanTrack, type Span } from './span-track.ts'

export type Role = 'own' | 'other'
export type View = 'correct' | 'wrong'

/** One prober that looks. `signMs`: the newest record of its session; it did look until then. */
export type Looker = {
  readonly hostId: HostId
  readonly session: SessionId
  readonly view: View
  readonly signMs: number
}

/** `failed`: wrong in a stretch in which its failure was found. */
export type OwnView = View | 'failed'
/** `hard`: nothing can answer any more, whatever was seen last. */
export type FailureKind = 'hard' | 'soft'

export type FoundFailure = {
  readonly atMs: number
  readonly failedMs: number | null
  readonly cause: FailureCause
  readonly detail: string
}

type Silence = { readonly hostId: HostId; readonly fromMs: number; readonly noticedMs: number }
/** `isGone`: its agent has told that it stopped it, so that the last answers say nothing of it any more. */
type Phase = { readonly kind: 'away' | 'starting'; readonly sinceMs: number; readonly isGone: boolean }

/** What a later run needs to go on from a quiet point, where nothing is open. */
export type Standing = {
  readonly own: Looker | null
  readonly other: Looker | null
  readonly homeId: HostId | null
  readonly isProbed: boolean
  readonly runningSinceMs: number | null
  readonly lastCorrectMs: number | null
}

export type Course = {
  own: Looker | null
  other: Looker | null
  /** The other prober, while its host is silent. */
  silentOther: Looker | null
  /** Where the machine is. */
  homeId: HostId | null
  isProbed: boolean
  runningSinceMs: number | null
  phase: Phase | null
  silence: Silence | null
  failure: FailureKind | null
  isDrilled: boolean
  isDeleted: boolean
  readonly tracks: ReturnType<typeof makeTracks>
  /** Times at which it is known to have been right, or wrong. */
  readonly correctMs: number[]
  readonly wrongMs: number[]
  /** Of the times at which it was right: those after which the next look found it wrong. */
  readonly lastCorrectMs: Set<number>
  readonly failures: FoundFailure[]
}

/** What the course comes down to. */
export type CourseSpans = {
  readonly own: readonly Span<OwnView>[]
  readonly other: readonly Span<View>[]
  readonly failure: readonly Span<FailureKind>[]
  readonly planned: readonly Span<true>[]
  readonly silence: readonly Span<'blind' | 'bridged'>[]
  readonly process: readonly Span<true>[]
  readonly drill: readonly Span<string>[]
}

/** A start that takes longer isn't planned any more. */
const longestStartMs = 10 * 60_000

function makeTracks() {
  return {
    own: createSpanTrack<OwnView>(),
    other: createSpanTrack<View>(),
    failure: createSpanTrack<FailureKind>(),
    planned: createSpanTrack<true>(),
    silence: createSpanTrack<'blind' | 'bridged'>(),
    process: createSpanTrack<true>(),
    drill: createSpanTrack<string>(),
  }
}

/** A new service, which is starting; or one that goes on from a quiet point. */
export function beginCourse(atMs: number, standing: Standing | null): Course {
  const course: Course = {
    own: standing?.own ?? null,
    other: standing?.other ?? null,
    silentOther: null,
    homeId: standing?.homeId ?? null,
    isProbed: standing?.isProbed ?? false,
    runningSinceMs: standing?.runningSinceMs ?? null,
    phase: null,
    silence: null,
    failure: null,
    isDrilled: false,
    isDeleted: false,
    tracks: makeTracks(),
    correctMs: [],
    wrongMs: [],
    lastCorrectMs: new Set(),
    failures: [],
  }
  const { tracks } = course
  tracks.own.change(course.own?.view ?? null, atMs)
  tracks.other.change(course.other?.view ?? null, atMs)
  if (course.runningSinceMs !== null && !course.isProbed) tracks.process.change(true, atMs)
  if (standing === null) enterPhase(course, 'starting', atMs)
  else if (standing.lastCorrectMs !== null) course.correctMs.push(standing.lastCorrectMs)
  return course
}

/** Null where something is open that what comes later may still change. */
export function standingOf(course: Course): Standing | null {
  const { own, other, homeId, isProbed, runningSinceMs } = course
  const isOpen = course.phase !== null || course.silence !== null || course.failure !== null || course.isDrilled
  if (isOpen || course.isDeleted || course.silentOther !== null || own?.view === 'wrong' || other?.view === 'wrong')
    return null
  const lastCorrectMs = course.correctMs.length === 0 ? null : course.correctMs.reduce((one, two) => Math.max(one, two))
  return { own, other, homeId, isProbed, runningSinceMs, lastCorrectMs }
}

/** Ends the course: of a host that is still silent nothing is known since it was last heard. */
export function finishCourse(course: Course, untilMs: number): CourseSpans {
  passTime(course, untilMs)
  if (course.silence !== null) closeSilentOwn(course)
  const { tracks } = course
  return {
    own: tracks.own.spansUntil(untilMs),
    other: tracks.other.spansUntil(untilMs),
    failure: tracks.failure.spansUntil(untilMs),
    planned: tracks.planned.spansUntil(untilMs),
    silence: tracks.silence.spansUntil(untilMs),
    process: tracks.process.spansUntil(untilMs),
    drill: tracks.drill.spansUntil(untilMs),
  }
}

export function enterPhase(course: Course, kind: Phase['kind'] | null, atMs: number): void {
  course.phase = kind === null ? null : { kind, sinceMs: atMs, isGone: false }
  course.tracks.planned.change(kind === null ? null : true, atMs)
}

/** A start that nobody heard the end of is over at some time. */
export function passTime(course: Course, nowMs: number): void {
  if (course.phase?.kind !== 'starting') return
  const endMs = course.phase.sinceMs + longestStartMs
  if (nowMs > endMs) enterPhase(course, null, endMs)
}

export function openLooker(course: Course, role: Role, looker: Looker): void {
  course[role] = looker
  if (role === 'other') course.tracks.other.change(looker.view, looker.signMs)
  else course.tracks.own.change(ownView(course, looker.view), looker.signMs)
}

/** It looks no more since then, or since its newest record if that is later. */
export function closeLooker(course: Course, role: Role, atMs: number): void {
  const looker = course[role]
  if (looker === null) return
  course.tracks[role].change(null, Math.max(atMs, looker.signMs))
  course[role] = null
}

/** What a host's own prober saw counts up to when the host was last heard, and further only as far as it has told since. */
export function closeSilentOwn(course: Course): void {
  if (course.own?.hostId === course.silence?.hostId) closeLooker(course, 'own', course.silence?.fromMs ?? 0)
}

/** It was right then, and nothing is known of it from then until it was found wrong. */
export function noteLastCorrect(course: Course, atMs: number): void {
  course.correctMs.push(atMs)
  course.lastCorrectMs.add(atMs)
}

/** A correct answer by a prober whose word counts. */
export function seeCorrect(course: Course, role: Role, atMs: number): void {
  course.correctMs.push(atMs)
  if (role === 'other' && course.own !== null && course.silence === null) return
  endFailure(course, atMs)
  if (course.phase?.kind === 'starting') enterPhase(course, null, atMs)
}

export function beginFailure(course: Course, kind: FailureKind, failure: FoundFailure): void {
  const { tracks } = course
  course.failures.push(failure)
  course.wrongMs.push(failure.atMs)
  if (course.phase?.kind === 'starting') enterPhase(course, null, failure.atMs)
  if (course.failure === null || (course.failure === 'soft' && kind === 'hard')) {
    course.failure = kind
    tracks.failure.change(kind, failure.atMs)
  }
  if (course.own?.view === 'wrong') tracks.own.correct('failed')
}

export function endFailure(course: Course, atMs: number): void {
  if (course.failure === null) return
  course.failure = null
  course.tracks.failure.change(null, atMs)
}

export function endSilence(course: Course, how: 'blind' | 'bridged', atMs: number): void {
  if (course.silence === null) return
  if (how === 'blind') closeSilentOwn(course)
  course.silence = null
  course.tracks.silence.correct(how)
  course.tracks.silence.change(null, atMs)
}

function ownView(course: Course, view: View): OwnView {
  return view === 'wrong' && course.failure !== null ? 'failed' : view
}
