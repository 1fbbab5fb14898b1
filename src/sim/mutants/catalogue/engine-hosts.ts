/** Bugs in how the engine deals with hosts: heartbeats, fencing, readmission, a store that went back. */
import { liveness, type Mutant, safety } from '../mutant.ts'

const desk = 'src/engine/hosts/admit-heartbeat.ts'
const carryOut = 'src/engine/hosts/carry-out-fencing.ts'
const readmit = 'src/engine/hosts/readmit-host.ts'
const storeCheck = 'src/engine/state/store-check.ts'

export const engineHostMutants: readonly Mutant[] = [
  {
    id: 'fenced-host-is-acknowledged',
    says: 'A host that is being fenced, or was proven dead, has its lease extended like any other.',
    patches: [
      {
        file: desk,
        find: "return options.isBeingFenced(spec.id) || status.fencing !== null || status.proof !== null || status.state === 'fenced'",
        put: "return spec.name.startsWith('!') && status.state === 'fenced'",
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'readmitted-with-its-machines',
    says: 'A fenced host that comes back is admitted before it has let go.',
    patches: [{ file: readmit, find: 'if (held.length > 0)', put: 'if (held.length < 0)' }],
    caughtBy: safety,
  },
  {
    id: 'pills-stay',
    says: 'The slot of a host that is admitted again keeps its pill.',
    patches: [
      {
        file: readmit,
        find: '  options.wake(hostId)\n  await clearPills(options, hostId)\n',
        put: '  options.wake(hostId)\n',
      },
      {
        file: readmit,
        find: 'if (heartbeat.storages.some((storage) => storage.pill))',
        put: 'if (heartbeat.storages.some((storage) => storage.storageId.length === 0))',
      },
    ],
    caughtBy: [...liveness, 'pills-are-cleared'],
  },
  {
    id: 'pill-in-the-wrong-slot',
    says: 'A pill is written into the slot of another host.',
    patches: [
      {
        file: carryOut,
        find: 'storageId, slot: target.spec.number, pill })',
        put: 'storageId, slot: target.spec.number + 1_000, pill })',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'pill-counts-before-it-stands',
    says: 'A pill counts from when its writing begins, and also when that fails.',
    patches: [
      {
        file: carryOut,
        find: "fencing.pills.set(storageId, 'writing')",
        put: 'fencing.pills.set(storageId, leader.clock.bootTimeMs())',
      },
      { file: carryOut, find: 'fencing.pills.delete(storageId)\n', put: '\n' },
      {
        file: carryOut,
        find: 'pill })\n    fencing.pills.set(storageId, leader.clock.bootTimeMs())',
        put: 'pill })',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'failed-fence-counts-as-off',
    says: 'A power fence that failed is taken for one that switched off.',
    patches: [
      {
        file: carryOut,
        find: "fencing.power = { kind: 'failed', atMs: leader.clock.bootTimeMs() }",
        put: "fencing.power = { kind: 'off', tookMs: 0 }",
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'store-that-went-back-is-trusted',
    says: 'After the store went back in time machines are started before all hosts have reported.',
    patches: [
      {
        file: storeCheck,
        find: 'if (missing.length === 0) return undefined',
        put: 'if (missing.length >= 0) return undefined',
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'store-going-back-is-not-noticed',
    says: 'Nobody compares what hosts know of the store with what is stored.',
    patches: [
      {
        file: storeCheck,
        find: 'if (wentBack === undefined && !isOtherHistory && !isAhead) return',
        put: 'if (wentBack === undefined) return',
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'term-stays-below',
    says: 'A leader keeps a term that agents know to be old.',
    patches: [
      {
        file: storeCheck,
        find: 'if (heartbeat.highestKnownTerm > leader.term)',
        put: 'if (heartbeat.highestKnownTerm < 0)',
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'new-boot-is-no-news',
    says: 'A host’s new session is not stored: orders go on being addressed to the old one.',
    patches: [
      {
        file: 'src/engine/hosts/store-heartbeat.ts',
        find: 'session: heartbeat.session,\n    agentLife',
        put: 'session: host.status.session ?? heartbeat.session,\n    agentLife',
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'overtaken-heartbeats-count',
    says: 'A heartbeat that was overtaken by a newer one is taken for what the host says now.',
    patches: [
      {
        file: 'src/engine/hosts/overtaken-heartbeats.ts',
        find: 'heartbeat.sequence <= newest.sequence) {',
        put: 'heartbeat.sequence < 0) {',
      },
      {
        file: 'src/engine/hosts/overtaken-heartbeats.ts',
        find: 'if (heartbeat.agentLife < agentLife || gone.includes(heartbeat.session)) {',
        put: 'if (gone.length < 0) {',
      },
      {
        file: 'src/engine/hosts/host-table.ts',
        find: 'if (isOlder) return\n',
        put: 'if (isOlder && heartbeat.sequence < 0) return\n',
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'only-fenced-hosts-are-asked',
    says: 'The kernel of a silent host is asked only where there is a power fence to be held back.',
    patches: [
      {
        file: 'src/engine/hosts/fence-hosts.ts',
        find: 'if (askedAtMs - (knockedAtMs.get(spec.id) ?? -Infinity) < knockEveryMs) return',
        put: 'if (spec.fence === null || askedAtMs - (knockedAtMs.get(spec.id) ?? -Infinity) < knockEveryMs) return',
      },
    ],
    caughtBy: ['no-false-failover'],
  },
]
