/** The checkers that look at everything that happens, by name. What has to be so at rest is in `../episode/judge-rest.ts`. */
import type { Checker } from '../observation.ts'
import { capacityNeverExceeded } from './capacity-never-exceeded.ts'
import { epochsOnlyGrow } from './epochs-only-grow.ts'
import { fencedBeforeRestarted } from './fenced-before-restarted.ts'
import { noAcknowledgedWriteLost } from './no-acknowledged-write-lost.ts'
import { oneWriterPerVolume } from './one-writer-per-volume.ts'
import { proofsAreTrue } from './proofs-are-true.ts'

export const checkers = {
  'one-writer-per-volume': oneWriterPerVolume,
  'fenced-before-restarted': fencedBeforeRestarted,
  'no-acknowledged-write-lost': noAcknowledgedWriteLost,
  'epochs-only-grow': epochsOnlyGrow,
  'capacity-never-exceeded': capacityNeverExceeded,
  'proofs-are-true': proofsAreTrue,
} as const satisfies Record<string, () => Checker>
