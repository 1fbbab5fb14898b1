/** How a state looks: a sign and a tone beside its word, so that nothing is said by colour alone. */
export type Look = { readonly tone: 'good' | 'busy' | 'off' | 'warn' | 'bad'; readonly sign: string }

const looks: Readonly<Record<string, Look>> = {
  running: { tone: 'good', sign: '●' },
  online: { tone: 'good', sign: '●' },
  succeeded: { tone: 'good', sign: '✓' },
  correct: { tone: 'good', sign: '●' },
  creating: { tone: 'busy', sign: '◐' },
  starting: { tone: 'busy', sign: '◐' },
  restarting: { tone: 'busy', sign: '↻' },
  stopping: { tone: 'busy', sign: '◐' },
  deleting: { tone: 'busy', sign: '◐' },
  undoing: { tone: 'busy', sign: '↺' },
  stopped: { tone: 'off', sign: '○' },
  cancelled: { tone: 'off', sign: '○' },
  unprobed: { tone: 'off', sign: '○' },
  paused: { tone: 'warn', sign: '‖' },
  frozen: { tone: 'warn', sign: '‖' },
  waiting: { tone: 'warn', sign: '…' },
  deaf: { tone: 'warn', sign: '?' },
  suspect: { tone: 'warn', sign: '?' },
  maintenance: { tone: 'warn', sign: '⚒' },
  unknown: { tone: 'bad', sign: '?' },
  wrong: { tone: 'bad', sign: '✕' },
  failed: { tone: 'bad', sign: '✕' },
  lost: { tone: 'bad', sign: '✕' },
  fenced: { tone: 'bad', sign: '✕' },
  offline: { tone: 'bad', sign: '✕' },
}

/** A state that this version does not know looks as if nothing were known. */
export function lookOf(state: string): Look {
  return looks[state] ?? { tone: 'off', sign: '·' }
}
