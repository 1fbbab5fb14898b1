/** Bugs in what a restored state learns of machines that have moved since (decisions 48 and 49). */
import { liveness, type Mutant, safety } from '../mutant.ts'

const forgotten = 'src/control/find-forgotten-life.ts'
const endMigration = 'src/engine/vms/end-migration.ts'
const storeCheck = 'src/engine/state/store-check.ts'
const anything = [...safety, ...liveness, 'no-missing-volumes', 'no-orphan-volumes'] as const

export const restoredMutants: readonly Mutant[] = [
  {
    id: 'forgotten-life-is-ended',
    says: 'A life that a restored state has forgotten is ended, and started where its disks were before.',
    // Alone it is made good by the claims.
    patches: [
      {
        file: forgotten,
        find: 'if (newest === undefined || newest.epoch <= (vm.placement?.epoch ?? 0)) return undefined',
        put: 'if (newest === undefined || newest.epoch > 0) return undefined',
      },
      {
        file: forgotten,
        find: 'return elsewhere?.areItsOwn === true && epoch > (placement?.epoch ?? 0)',
        put: 'return elsewhere?.areItsOwn === true && epoch < (placement?.epoch ?? 0)',
      },
    ],
    caughtBy: anything,
    shownBy: 'restored',
  },
  {
    id: 'copy-that-never-ran-is-adopted',
    says: 'A copy that waits to be filled is taken for the machine.',
    patches: [
      {
        file: forgotten,
        find: 'areItsOwn: report.isArriving !== true }',
        put: 'areItsOwn: true }',
      },
    ],
    caughtBy: anything,
    shownBy: 'restored',
  },
  {
    id: 'open-move-is-undone-unasked',
    says: 'A move that a restored state has as open is undone without asking its destination.',
    patches: [
      {
        file: endMigration,
        find: 'if (await hasRunThere(tools, { vmId, signal }))',
        put: 'if (signal.aborted && (await hasRunThere(tools, { vmId, signal })))',
      },
    ],
    caughtBy: anything,
    shownBy: 'restored',
  },
  {
    id: 'claims-are-not-believed',
    says: 'Of a machine that has died since, a restored state learns nothing from the claims beside its disks.',
    patches: [
      {
        file: forgotten,
        find: 'if (newest === undefined || newest.epoch <= (vm.placement?.epoch ?? 0)) return undefined',
        put: 'if (newest === undefined || newest.epoch > 0) return undefined',
      },
    ],
    caughtBy: anything,
    shownBy: 'restored',
  },
  {
    id: 'claimed-epochs-are-given-again',
    says: 'Epochs go on above those that live, not above those that were claimed.',
    patches: [
      {
        file: storeCheck,
        find: 'epochFloor: () => Math.max(highestEpochOutside, claims.highestEpoch()) + 1',
        put: 'epochFloor: () => highestEpochOutside + 1',
      },
    ],
    caughtBy: anything,
    shownBy: 'restored',
  },
]
