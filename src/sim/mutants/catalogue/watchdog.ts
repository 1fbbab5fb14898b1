/** Bugs in the watchdog process, the last one to act. */
import { liveness, type Mutant, safety } from '../mutant.ts'

const guard = 'src/agent/watchdog/guard-host.ts'
const judge = 'src/agent/watchdog/judge-machines.ts'

export const watchdogMutants: readonly Mutant[] = [
  {
    id: 'watchdog-always-pets',
    says: 'The hardware is petted also while a machine without a licence can’t be killed.',
    patches: [
      { file: guard, find: 'if (alive.length === 0) hardware?.pet()', put: 'if (alive.length >= 0) hardware?.pet()' },
    ],
    caughtBy: safety,
  },
  {
    id: 'watchdog-pets-before-it-knows',
    says: 'A new watchdog process pets although nobody has told it by what licence machines run.',
    patches: [{ file: guard, find: 'if (!options.machines.holdsAny()) hardware?.pet()', put: 'hardware?.pet()' }],
    caughtBy: safety,
  },
  {
    id: 'watchdog-takes-all-for-frozen',
    says: 'The watchdog takes every machine for frozen.',
    patches: [
      {
        file: judge,
        find: '{ ...machine, nowMs: now.nowMs }',
        put: '{ ...machine, isFrozen: true, nowMs: now.nowMs }',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'watchdog-knows-no-slots',
    says: 'For the watchdog only the lease counts: it kills when the controller is gone.',
    patches: [
      {
        file: judge,
        find: 'new Map(state.pillFreeReads.map((read) => [read.storageId, read.startedAtMs]))',
        put: 'new Map(state.pillFreeReads.map((read) => [read.storageId, -read.startedAtMs]))',
      },
    ],
    caughtBy: ['no-false-failover'],
  },
  {
    id: 'watchdog-keeps-its-first-word',
    says: 'The watchdog counts with the first thing that it was told.',
    patches: [{ file: guard, find: '      state = next\n', put: '      state ??= next\n' }],
    caughtBy: [...safety, ...liveness, 'no-false-failover'],
  },
  {
    id: 'armed-without-hardware',
    says: 'A host without a hardware watchdog says that it is armed.',
    patches: [
      {
        file: guard,
        find: "<= timings().watchdogMs ? 'hard' : 'none')",
        put: "<= timings().watchdogMs ? 'hard' : 'hard')",
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'watchdog-only-watches',
    says: 'The watchdog neither kills nor lets the hardware do it.',
    patches: [
      { file: guard, find: '  machines.kill(cgroupDirectory)\n', put: '' },
      { file: guard, find: 'if (alive.length === 0) hardware?.pet()', put: 'if (alive.length >= 0) hardware?.pet()' },
    ],
    caughtBy: safety,
  },
]
