/** Bugs in the nouns and their arithmetic. */
import { liveness, type Mutant, safety } from '../mutant.ts'

const licence = 'src/model/protection/licence.ts'
const bounds = 'src/model/protection/bounds.ts'
const timings = 'src/model/timings.ts'
const leaseBound = 'timings.leaseMs + timings.watchdogMs + timings.killMs + timings.drainMs'
const pillBound = 'timings.pillFreeMs + timings.watchdogMs + timings.killMs + timings.drainMs'

export const modelMutants: readonly Mutant[] = [
  {
    id: 'lease-lasts-twice',
    says: 'A host counts its lease for twice as long as the leader does.',
    patches: [
      {
        file: licence,
        find: ': facts.acknowledgedHeartbeatSentAtMs + timings.leaseMs',
        put: ': facts.acknowledgedHeartbeatSentAtMs + 2 * timings.leaseMs',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'slot-read-lasts-five-times',
    says: 'A pill-free read lets machines run for five times R.',
    patches: [
      {
        file: licence,
        find: '(facts.pillFreeReadStartedAtMs.get(storageId) ?? -Infinity) + timings.pillFreeMs',
        put: '(facts.pillFreeReadStartedAtMs.get(storageId) ?? -Infinity) + 5 * timings.pillFreeMs',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'licence-never-ends',
    says: 'Neither agent nor watchdog ends a machine whose licence has run out; only a pill does.',
    patches: [
      {
        file: licence,
        find: 'if (machine.nowMs < untilMs - timings.pillFreeMs / 5)',
        put: 'if (machine.nowMs < Infinity)',
      },
      {
        file: licence,
        find: 'return machine.isFrozen || machine.nowMs < licenceEndsAtMs(facts, machine.storageIds, timings)',
        put: 'return true',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'all-margins-dropped',
    says: 'A host is taken for dead when its lease and its slot read have run out, without W, K and D.',
    patches: [
      { file: bounds, find: leaseBound, put: 'timings.leaseMs' },
      { file: bounds, find: pillBound, put: 'timings.pillFreeMs' },
    ],
    caughtBy: safety,
  },
  {
    id: 'watchdog-margin-dropped',
    says: 'The time that the hardware watchdog takes is not waited for.',
    patches: [
      { file: bounds, find: leaseBound, put: 'timings.leaseMs + timings.killMs + timings.drainMs' },
      { file: bounds, find: pillBound, put: 'timings.pillFreeMs + timings.killMs + timings.drainMs' },
    ],
    caughtBy: safety,
  },
  {
    id: 'new-leader-judges-at-once',
    says: 'A new leader takes hosts that it has not heard for silent since ever.',
    patches: [
      {
        file: bounds,
        find: 'return timings.leaseMs + timings.killMs + timings.drainMs\n',
        put: 'return 0 * timings.leaseMs\n',
      },
      {
        file: 'src/engine/hosts/host-table.ts',
        find: 'lastAcknowledgedAtMs: startedAtMs,\n      attentiveSilentMs: 0,',
        put: 'lastAcknowledgedAtMs: startedAtMs - 1_000_000,\n      attentiveSilentMs: 1_000_000,',
      },
      {
        file: 'src/control/decide-fencing.ts',
        find: 'if (massAgoMs < cluster.cluster.timings.leaseMs)',
        put: 'if (massAgoMs < 0)',
      },
    ],
    caughtBy: [...safety, 'no-false-failover'],
  },
  {
    id: 'pill-comes-early',
    says: 'A pill is written after 900 ms of silence: a pause of half a lease costs machines.',
    patches: [{ file: timings, find: '  pillAfterMs: 2000,\n', put: '  pillAfterMs: 900,\n' }],
    caughtBy: ['no-false-failover'],
  },
  {
    id: 'all-hosts-silent-is-no-mass',
    says: 'That all hosts fell silent together does not count as the leader being cut off.',
    patches: [{ file: timings, find: '  maximumSilentShare: 0.5,\n', put: '  maximumSilentShare: 1,\n' }],
    caughtBy: ['no-false-failover'],
  },
  {
    id: 'next-epoch-is-the-old-one',
    says: 'A new placement takes the epoch that the last one had.',
    patches: [
      {
        file: 'src/control/next-epoch.ts',
        find: 'migration?.epoch ?? 0, forgotten) + 1',
        put: 'migration?.epoch ?? 0, forgotten, 1)',
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'lease-proof-reaches-nothing',
    says: 'A proof by lease reaches no machine: nothing is ever brought back by it.',
    patches: [
      {
        file: 'src/model/proof-reaches.ts',
        find: 'return placement?.leased === true && spec.disks.every((disk) => withPill.has(disk.storageId))',
        put: 'return placement?.leased === true && spec.disks.every((disk) => !withPill.has(disk.storageId))',
      },
    ],
    caughtBy: ['recovers-in-time'],
  },
]
