/**
 * Sentences that a line of text can be: `host {host} loses power[ for {forMs}]`. What stands in braces is read by the last word of its name:
 * `forMs` is a time such as `20s`, `lostShare` is `5%`, `number` a number, `text` the rest of the line; all else is one word.
 */
import { DialtoneError } from '../../model/dialtone-error.ts'

export type Values = Readonly<Record<string, string | number>>

export type Sentence<Said> = {
  readonly words: string
  read(values: Values): Said
}

type Slot = { readonly pattern: string; read(text: string): string | number }

const unitsMs = { ms: 1, s: 1_000, min: 60_000 } as const

/** `20s`, `1.5s`, `300ms`, `2min`; undefined for anything else. */
export function readTime(text: string): number | undefined {
  const [, amount, unit] = /^(-?\d+(?:\.\d+)?)(ms|s|min)$/.exec(text) ?? []
  if (amount === undefined || (unit !== 'ms' && unit !== 's' && unit !== 'min')) return undefined
  return Number(amount) * unitsMs[unit]
}

/** What the first sentence that fits makes of this text; undefined when none does. */
export function readSentence<Said>(sentences: readonly Sentence<Said>[], text: string): Said | undefined {
  for (const { words, read } of sentences) {
    const found = compile(words).exec(text)
    if (found === null) continue
    const given = Object.entries(found.groups ?? {}).filter(([, value]) => value !== undefined)
    return read(Object.fromEntries(given.map(([name, value]) => [name, slotOf(name).read(value)])))
  }
  return undefined
}

/** The sentences that have most of their words in common with this text. */
export function nearestSentences(sentences: readonly Sentence<unknown>[], text: string): readonly string[] {
  const given = new Set(wordsOf(text))
  const shared = (words: string) => wordsOf(words).filter((word) => given.has(word)).length
  return sentences
    .map(({ words }) => words)
    .toSorted((left, right) => shared(right) - shared(left))
    .slice(0, 3)
}

function wordsOf(text: string): string[] {
  return text.match(/[a-z]+/g) ?? []
}

function compile(words: string): RegExp {
  const source = words
    .replaceAll(/[.?+*()|^$\\]/g, String.raw`\$&`)
    .replaceAll('[', '(?:')
    .replaceAll(']', ')?')
    .replaceAll(/\{(\w+)\}/g, (_, name: string) => `(?<${name}>${slotOf(name).pattern})`)
  return new RegExp(`^${source}$`)
}

function slotOf(name: string): Slot {
  if (name.endsWith('Ms')) return { pattern: String.raw`-?\d+(?:\.\d+)?(?:ms|s|min)`, read: requireTime }
  if (name.endsWith('Share'))
    return { pattern: String.raw`\d+(?:\.\d+)?%`, read: (text) => Number.parseFloat(text) / 100 }
  if (name === 'number') return { pattern: String.raw`\d+`, read: Number }
  if (name === 'text') return { pattern: '.+', read: (text) => text }
  return { pattern: '[a-z][a-z0-9-]*', read: (text) => text }
}

function requireTime(text: string): number {
  const timeMs = readTime(text)
  if (timeMs === undefined) throw new DialtoneError('invalid-input', `${text} is no time, as 20s or 300ms are`)
  return timeMs
}
