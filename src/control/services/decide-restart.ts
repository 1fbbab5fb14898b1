/**
 * What to do for a service in which something does not serve. A machine recovers by its own ladder first; only when that has not helped is
 * a cell restarted, then, if that was in vain, one that holds it. Pure: same question, same answer.
 *
 * - A component that fails together with one that it needs is no suspect: it is only told.
 * - Suspects that fail near each other are one failure: their cells are restarted together, then the smallest cell that holds them.
 * - One restart at a time; each further one waits longer; too many in a while ask for a person. So there is no storm, and escalation ends.
 * - What no restart can help is waited for: a machine on a silent host, without room, or without its storage.
 */
import type { RestartLessons } from '../../model/service/service.ts'
import type { ServiceFile } from '../../model/service/service-file.ts'
import { chooseCell, type Level, levelsFor, type Oracle } from './choose-cell.ts'
import { expectedAwayMs, recoveryOf } from './judge-objective.ts'
import type { PastRestart } from './restart-history.ts'
import { estimateCell } from './restart-lessons.ts'
import { type Cell, restartTreeOf } from './restart-tree.ts'
import { inWaves, neededBy, wavesOf } from './start-waves.ts'

export type ComponentCondition = {
  /** All of its replicas do. */
  readonly isServing: boolean
  /** Since it last served for a while; 0 while it serves. */
  readonly failingForMs: number
  /** So often one of its machines has been recovered since then, in vain. */
  readonly ownRecoveries: number
  /** Why no restart would help it now; null otherwise. */
  readonly obstacle: string | null
}

export type RestartQuestion = {
  readonly file: ServiceFile
  readonly conditions: ReadonlyMap<string, ComponentCondition>
  readonly lessons: RestartLessons
  /** Oldest first. */
  readonly restarts: readonly PastRestart[]
  readonly oracle: Oracle
  readonly nowMs: number
}

export type RestartDecision =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'wait'; readonly reason: string }
  | {
      readonly kind: 'restart'
      readonly symptom: string
      readonly suspects: readonly string[]
      readonly levels: readonly Level[]
      readonly level: number
      readonly failedLevel: number
      /** In the order in which they are restarted; those of one wave together. */
      readonly waves: readonly (readonly string[])[]
      /** Healthy ones that need what is restarted: they will miss answers. */
      readonly neighbours: readonly string[]
      readonly expectedMs: number
      readonly chance: number
      readonly reason: string
    }
  | { readonly kind: 'needs-person'; readonly reason: string }

/** A cure that held for so long was one. */
const lastingCureMs = 30_000
/** Failures this near to each other are taken for one. */
const gatherMs = 1_000
const leastPatienceMs = 3_000
const mostPatienceMs = 60_000
const latelyMs = 600_000
const restartsAtMost = 8
/** Before the second restart for one failure, the third, and so on. */
const waitsMs = [0, 1_000, 5_000, 20_000] as const

export function decideRestart(question: RestartQuestion): RestartDecision {
  const { file, conditions, restarts, nowMs } = question
  const failing = [...conditions].flatMap(([name, { isServing }]) => (isServing ? [] : [name]))
  if (failing.length === 0) return { kind: 'nothing' }
  const suspects = suspectsAmong(file, failing)
  if (restarts.some(({ isCured }) => isCured === null))
    return { kind: 'wait', reason: 'a cell of it is being restarted' }
  const impatient = waitFor(question, suspects)
  if (impatient !== undefined) return impatient
  const lately = restarts.filter(({ beganAtMs }) => nowMs - beganAtMs < latelyMs)
  if (lately.length >= restartsAtMost)
    return {
      kind: 'needs-person',
      reason: `${list(suspects)} still fail${suspects.length === 1 ? 's' : ''} after ${lately.length} restarts within ${latelyMs / 60_000} minutes: restarts do not cure it`,
    }
  return decideOnCell(question, { suspects, failing })
}

function decideOnCell(
  question: RestartQuestion,
  { suspects, failing }: { readonly suspects: readonly string[]; readonly failing: readonly string[] },
): RestartDecision {
  const { file, conditions, lessons, restarts, oracle, nowMs } = question
  const tree = restartTreeOf(file)
  const levels = levelsFor(tree, suspects)
  const symptom = suspects.join('+')
  const inVain = restarts.filter((restart) => isInVain(restart, conditions, { suspects, nowMs }))
  const failedLevel = levels.findLastIndex(
    ({ components }, level) =>
      isTriedByItself(question, suspects, level) || inVain.some((one) => holds(one.components, components)),
  )
  const waves = wavesOf(file.components)
  const estimates = levels.map(({ name, components }, level) =>
    estimateCell(lessons, { symptom, cell: name, level, priorMs: expectedRestartMs(file, inWaves(waves, components)) }),
  )
  const choice = chooseCell(levels, { estimates, failedLevel, oracle })
  const chosen = choice === undefined ? undefined : levels[choice.level]
  if (choice === undefined || chosen === undefined)
    return {
      kind: 'needs-person',
      reason: `${list(suspects)} still fail${suspects.length === 1 ? 's' : ''} after the whole service was restarted`,
    }
  const waitMs = waitsMs[Math.min(inVain.length, waitsMs.length - 1)] ?? 0
  const sinceMs = nowMs - (inVain.at(-1)?.endedAtMs ?? -Infinity)
  if (sinceMs < waitMs) return { kind: 'wait', reason: `the next restart waits for ${waitMs - sinceMs} ms` }
  return {
    kind: 'restart',
    ...{ symptom, suspects, levels, failedLevel, ...choice },
    waves: inWaves(waves, chosen.components),
    neighbours: neighboursOf(file, tree, { restarted: chosen.components, failing }),
    reason: reasonOf(question, { suspects, failing, chosen, choice, inVain: inVain.length }),
  }
}

/** Those that fail although all that they need serves. */
function suspectsAmong({ components }: ServiceFile, failing: readonly string[]): readonly string[] {
  const isFailing = new Set(failing)
  const without = failing.filter((name) => [...neededBy(components, name)].every((needed) => !isFailing.has(needed)))
  return without.toSorted()
}

/** While its own recovery may still help, or others may come to fail with it, or nothing that is restarted would help. */
function waitFor({ file, conditions }: RestartQuestion, suspects: readonly string[]): RestartDecision | undefined {
  for (const name of suspects) {
    const obstacle = conditions.get(name)?.obstacle ?? null
    if (obstacle !== null) return { kind: 'wait', reason: `${name}: ${obstacle}` }
  }
  const patient = suspects.filter((name) => {
    const { failingForMs = 0, ownRecoveries = 0 } = conditions.get(name) ?? {}
    return failingForMs < (ownRecoveries > 0 ? gatherMs : patienceMs(file, name))
  })
  if (patient.length === 0) return undefined
  return { kind: 'wait', reason: `${list(patient)} recover${patient.length === 1 ? 's' : ''} by itself first` }
}

/** Three times what its own recovery takes. */
function patienceMs(file: ServiceFile, name: string): number {
  const component = file.components[name]
  const usualMs = component === undefined ? 0 : expectedAwayMs(recoveryOf(file, component), component.probe)
  return Math.min(mostPatienceMs, Math.max(leastPatienceMs, 3 * usualMs))
}

/** A cell of one machine was restarted by that machine's own recovery. */
function isTriedByItself({ file, conditions }: RestartQuestion, suspects: readonly string[], level: number): boolean {
  return (
    level === 0 &&
    suspects.every((name) => file.components[name]?.replicas === 1 && (conditions.get(name)?.ownRecoveries ?? 0) > 0)
  )
}

/** What fails now failed before it ended, or so soon after that it was no cure. */
function isInVain(
  { components, endedAtMs }: PastRestart,
  conditions: RestartQuestion['conditions'],
  { suspects, nowMs }: { readonly suspects: readonly string[]; readonly nowMs: number },
): boolean {
  if (endedAtMs === null || !suspects.some((name) => components.includes(name))) return false
  const failedSinceMs = nowMs - Math.max(...suspects.map((name) => conditions.get(name)?.failingForMs ?? 0))
  return failedSinceMs < endedAtMs + lastingCureMs
}

function holds(outer: readonly string[], inner: readonly string[]): boolean {
  return inner.every((name) => outer.includes(name))
}

/** Wave after wave, each as long as its slowest. */
function expectedRestartMs(file: ServiceFile, waves: readonly (readonly string[])[]): number {
  const timeOf = (name: string) => {
    const component = file.components[name]
    return component === undefined ? 0 : expectedAwayMs(recoveryOf(file, component), component.probe)
  }
  return waves.reduce((sum, wave) => sum + Math.max(...wave.map(timeOf)), 0)
}

function neighboursOf(
  { components }: ServiceFile,
  tree: Cell,
  { restarted, failing }: { readonly restarted: readonly string[]; readonly failing: readonly string[] },
): readonly string[] {
  const gone = new Set(restarted)
  return tree.components.filter(
    (name) =>
      !gone.has(name) && !failing.includes(name) && [...neededBy(components, name)].some((needed) => gone.has(needed)),
  )
}

function reasonOf(
  { conditions }: RestartQuestion,
  about: {
    readonly suspects: readonly string[]
    readonly failing: readonly string[]
    readonly chosen: Level
    readonly choice: { readonly chance: number; readonly expectedMs: number }
    readonly inVain: number
  },
): string {
  const { suspects, failing, chosen, choice, inVain } = about
  const longest = Math.max(...suspects.map((name) => conditions.get(name)?.failingForMs ?? 0))
  const others = failing.filter((name) => !suspects.includes(name))
  const withThem = others.length === 0 ? '' : `, and ${list(others)} with ${suspects.length === 1 ? 'it' : 'them'}`
  const hasTried = suspects.some((name) => (conditions.get(name)?.ownRecoveries ?? 0) > 0)
  const alone = hasTried ? 'its own recovery did not help' : 'nothing recovered it by itself'
  const before = inVain === 0 ? alone : `${inVain} restart${inVain === 1 ? '' : 's'} in vain`
  return `${list(suspects)} failed for ${Math.round(longest)} ms${withThem}; ${before}; a restart of ${list(chosen.components)} cures with ${Math.round(choice.chance * 100)} per cent in about ${Math.round(choice.expectedMs)} ms`
}

function list(names: readonly string[]): string {
  return names.join(', ')
}
