/** What a recovery would lose, in sentences that an owner can decide by. */
import type { Recovery, Rung } from '../../model/recovery/recovery-policy.ts'

export type LossFacts = {
  readonly recovery: Recovery
  /** The image that would be resumed; null when there is none. */
  readonly image: ImageFacts | null
  /** Why there is no image, or what is under way: a sentence, or empty. */
  readonly note: string
}

export type ImageFacts = {
  readonly ageMs: number
  /** What was written to its disks since. */
  readonly changedMiB: number
}

/** One sentence for `vm show`: what would be gone if it failed now and were recovered as its owner declared. */
export function describeLoss(facts: LossFacts): string {
  const { recovery, image, note } = facts
  if (recovery.mode === 'boot') return `A recovery boots it and loses ${loses('boot', facts)}.`
  const what = recovery.mode === 'warm' ? 'memory image' : 'checkpoint'
  if (image === null) {
    const why = note === '' ? '' : ` (${note})`
    return `There is no ${what} yet${why}: a recovery would boot it and lose ${loses('boot', facts)}.`
  }
  return `A recovery resumes its ${what} and loses ${loses('resume-here', facts)}.`
}

/** What one rung loses: the end of a sentence. */
export function loses(rung: Rung, { recovery, image }: LossFacts): string {
  switch (rung) {
    case 'restart-in-guest':
      return 'nothing but what its service had in memory'
    case 'boot':
      return 'nothing on disk, only what was in memory'
    case 'rebuild-root':
      return 'all that was ever written to its root disk; data volumes lose nothing'
    case 'resume-here':
    case 'resume-elsewhere':
      if (image === null || recovery.mode === 'boot') return 'nothing: there is nothing to resume'
      return recovery.mode === 'warm' ? warmLoss(image) : checkpointLoss(image)
  }
}

function warmLoss({ ageMs, changedMiB }: ImageFacts): string {
  const since = `since its image of ${describeAge(ageMs)} ago`
  return changedMiB === 0
    ? `nothing on disk: its root disk has hardly changed ${since}`
    : `${changedMiB} MiB that were written to its root disk ${since}; data volumes lose nothing`
}

function checkpointLoss({ ageMs, changedMiB }: ImageFacts): string {
  const written = changedMiB === 0 ? 'less than 1 MiB' : `${changedMiB} MiB`
  return `all that it did since its checkpoint of ${describeAge(ageMs)} ago, with ${written} written to its disks`
}

/** `40 seconds`, `3 minutes`, `5 hours`, `2 days`; a clock that runs ahead counts as 0 seconds. */
export function describeAge(ageMs: number): string {
  const seconds = Math.max(0, Math.floor(ageMs / 1000))
  if (seconds < 120) return counted(seconds, 'second')
  if (seconds < 7_200) return counted(Math.floor(seconds / 60), 'minute')
  if (seconds < 172_800) return counted(Math.floor(seconds / 3_600), 'hour')
  return counted(Math.floor(seconds / 86_400), 'day')
}

function counted(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}
