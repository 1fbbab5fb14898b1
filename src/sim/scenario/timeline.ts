/** A scenario's timeline: the product's own log lines since the scenario began, with names instead of ids, and the scenario's own steps. */
import type { LogFields } from '../../model/logger.ts'
import type { LogLine } from '../world/world-log.ts'
import type { Names } from './names.ts'

export type TimelineLine = {
  /** Since the scenario began. */
  readonly atMs: number
  /** `controller`, `h1/agent`, or `scenario` for what was done and what came true. */
  readonly who: string
  readonly event: string
  /** The machine, host or storage that it is about; for a line without, the host or the process that wrote it. */
  readonly subject: string
  readonly sentence: string
}

/** Undefined for the world's own lines: the scenario's steps say the same in better words. */
export function toTimelineLine(line: LogLine, beganAtMs: number, names: Names): TimelineLine | undefined {
  if (line.who === 'world') return undefined
  const { subject = line.who.split('/', 1)[0] ?? '-', rest } = takeSubject(line.fields, names)
  return {
    atMs: line.atMs - beganAtMs,
    who: line.who,
    event: line.event,
    subject,
    sentence: withoutMoments(
      names.without(typeof rest['message'] === 'string' ? rest['message'] : wordsOf(rest, names)),
    ),
  }
}

/** `at 2026-01-01T00:00:12.629Z`: the line's own time says when. */
function withoutMoments(sentence: string): string {
  return sentence.replaceAll(/"?\d{4}-\d\d-\d\dT[\d:.]+Z"?/g, '…')
}

/** One line of `log.expect`. */
export function formatTimelineLine({ atMs, who, event, subject, sentence }: TimelineLine): string {
  const time = (atMs / 1_000).toFixed(3).padStart(8)
  return `${time}  ${who.padEnd(11)} ${event.padEnd(20)} ${subject.padEnd(6)} ${sentence}`.trimEnd()
}

/** The other way round; undefined for a line that is none. */
export function parseTimelineLine(text: string): TimelineLine | undefined {
  const [, time, who, event, subject, sentence = ''] =
    /^\s*(-?\d+\.\d{3})\s+(\S+)\s+(\S+)\s+(\S+)(?:\s+(.*))?$/.exec(text) ?? []
  if (time === undefined || who === undefined || event === undefined || subject === undefined) return undefined
  return { atMs: Math.round(Number(time) * 1_000), who, event, subject, sentence }
}

function takeSubject(fields: LogFields, names: Names): { readonly subject?: string; readonly rest: LogFields } {
  const nameOf = (value: unknown) => (typeof value === 'string' ? names.nameOf(value) : undefined)
  const { subject, ...rest } = fields
  if (typeof subject === 'string' && subject !== '') return { subject: names.without(subject), rest }
  for (const key of ['vmId', 'hostId', 'storageId']) {
    const name = nameOf(rest[key])
    if (name !== undefined) return { subject: name, rest: { ...rest, [key]: undefined, name: undefined } }
  }
  return { rest }
}

/** `kind` repeats the event, `at` the time; the others are revisions of the store, which anything shifts. */
const silentFields = ['kind', 'at', 'generation', 'known', 'here']

function wordsOf(fields: LogFields, names: Names): string {
  return Object.entries(fields)
    .filter(([key, value]) => value !== undefined && value !== null && value !== '' && !silentFields.includes(key))
    .map(([key, value]) => `${key.replace(/Ids?$/, '')}=${names.without(textOf(value))}`)
    .join(' ')
}

function textOf(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message)
  if (typeof value === 'number') return String(Math.round(value))
  if (typeof value === 'string') return /^[\w.:/@-]+$/.test(value) ? value : JSON.stringify(value)
  return JSON.stringify(value)
}
