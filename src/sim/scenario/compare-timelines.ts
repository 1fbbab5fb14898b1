/**
 * Whether two timelines tell the same story. For each process and subject it has to be the same lines in the same order; when they come,
 * and durations within a sentence, may differ a little: that depends on the moment of a heartbeat, which anything shifts.
 */
import type { TimelineLine } from './timeline.ts'

export type TimelineDifference = { readonly kind: 'missing' | 'new'; readonly line: TimelineLine }

/** A heartbeat, a look of the leader, and the messages between. */
const toleranceMs = 500
/** Between lines that several parts of one process write of the same thing. */
const oneMomentMs = 20

/** By time; none when they tell the same. */
export function compareTimelines(
  expected: readonly TimelineLine[],
  actual: readonly TimelineLine[],
): readonly TimelineDifference[] {
  const [before, after] = [Map.groupBy(expected, storyOf), Map.groupBy(actual, storyOf)]
  const stories = new Set([...before.keys(), ...after.keys()])
  return [...stories]
    .flatMap((story) => withoutSwapped(compareStories(before.get(story) ?? [], after.get(story) ?? [])))
    .toSorted((left, right) => left.line.atMs - right.line.atMs)
}

/** What happens in one moment has no order: a line that is missing here and new there is the same line. */
function withoutSwapped(differences: readonly TimelineDifference[]): readonly TimelineDifference[] {
  let kept = differences
  for (const missing of differences.filter(({ kind }) => kind === 'missing')) {
    const swapped = kept.find(
      ({ kind, line }) =>
        kind === 'new' && isAlike(missing.line, line) && Math.abs(line.atMs - missing.line.atMs) <= oneMomentMs,
    )
    if (swapped !== undefined) kept = kept.filter((one) => one !== swapped && one !== missing)
  }
  return kept
}

function storyOf({ who, subject }: TimelineLine): string {
  return `${who} ${subject}`
}

/** Lines that both have in this order are the longest common subsequence of their shapes. */
function compareStories(
  expected: readonly TimelineLine[],
  actual: readonly TimelineLine[],
): readonly TimelineDifference[] {
  const lengths = commonLengths(expected, actual)
  const differences: TimelineDifference[] = []
  let [left, right] = [0, 0]
  for (;;) {
    const [wanted, found] = [expected[left], actual[right]]
    if (wanted === undefined && found === undefined) return differences
    const isSame = wanted !== undefined && found !== undefined && isAlike(wanted, found)
    if (isSame && lengthAt(lengths, left, right) === lengthAt(lengths, left + 1, right + 1) + 1) {
      left += 1
      right += 1
    } else if (
      wanted !== undefined &&
      (found === undefined || lengthAt(lengths, left + 1, right) >= lengthAt(lengths, left, right + 1))
    ) {
      differences.push({ kind: 'missing', line: wanted })
      left += 1
    } else if (found !== undefined) {
      differences.push({ kind: 'new', line: found })
      right += 1
    }
  }
}

type Lengths = readonly (readonly number[])[]

function commonLengths(expected: readonly TimelineLine[], actual: readonly TimelineLine[]): Lengths {
  const rows: number[][] = []
  for (const [left, wanted] of [...expected.entries()].toReversed()) {
    const row: number[] = []
    for (const [right, found] of [...actual.entries()].toReversed()) {
      row[right] = isAlike(wanted, found)
        ? lengthAt(rows, left + 1, right + 1) + 1
        : Math.max(lengthAt(rows, left + 1, right), row[right + 1] ?? 0)
    }
    rows[left] = row
  }
  return rows
}

function lengthAt(lengths: Lengths, left: number, right: number): number {
  return lengths[left]?.[right] ?? 0
}

function isAlike(wanted: TimelineLine, found: TimelineLine): boolean {
  if (wanted.event !== found.event || Math.abs(wanted.atMs - found.atMs) > toleranceMs) return false
  const [left, right] = [durationsIn(wanted.sentence), durationsIn(found.sentence)]
  return (
    left.words === right.words &&
    left.timesMs.every((timeMs, index) => Math.abs(timeMs - (right.timesMs[index] ?? 0)) <= toleranceMs)
  )
}

/** `silent for 800 ms`, `latencyMs=2`. */
const milliseconds = /(?<=Ms=)\d+|\d+(?= ms\b)/g
/** `for 1.3 s`. */
const seconds = /\d+(?:\.\d+)?(?= s\b)/g

function durationsIn(sentence: string): { readonly words: string; readonly timesMs: readonly number[] } {
  const all = (pattern: RegExp, unitMs: number) =>
    [...sentence.matchAll(pattern)].map(([time]) => Number(time) * unitMs)
  return {
    words: sentence.replaceAll(milliseconds, '…').replaceAll(seconds, '…'),
    timesMs: [...all(milliseconds, 1), ...all(seconds, 1_000)],
  }
}
