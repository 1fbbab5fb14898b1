/** Bugs in what carries decisions out. */
import { liveness, type Mutant, safety } from '../mutant.ts'

const desk = 'src/engine/hosts/admit-heartbeat.ts'
const carryOut = 'src/engine/hosts/carry-out-fencing.ts'
const readmit = 'src/engine/hosts/readmit-host.ts'
const runner = 'src/engine/tasks/task-runner.ts'
const migrate = 'src/engine/vms/migrate-saga.ts'
const storeCheck = 'src/engine/state/store-check.ts'

export const engineMutants: readonly Mutant[] = [
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
    caughtBy: liveness,
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
    id: 'starts-confirmed-for-anyone',
    says: 'A start is confirmed whether the host owns the machine or not.',
    patches: [
      {
        file: desk,
        find: 'const isOwner = placement.hostId === hostId && placement.epoch === epoch && placement.session === heartbeat.session',
        put: 'const isOwner = epoch > 0 && hostId !== undefined',
      },
    ],
    caughtBy: safety,
  },
  {
    id: 'proof-of-release-of-any-epoch',
    says: 'That a host let go of an earlier life is taken for a proof about the present one.',
    patches: [
      {
        file: 'src/engine/vms/start-memory.ts',
        find: 'return entry !== undefined && entry.epoch === epoch ? entry.proof : undefined',
        put: 'return entry !== undefined && epoch !== undefined ? entry.proof : undefined',
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'move-keeps-the-epoch',
    says: 'The new owner of a moved machine gets the old one’s epoch.',
    patches: [
      {
        file: 'src/engine/vms/switch-owner.ts',
        find: '    epoch: migration.epoch,\n',
        put: '    epoch: migration.sourceEpoch,\n',
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'move-forgets-the-owner',
    says: 'A machine is let run at its destination without a change of its owner in the store.',
    patches: [
      { file: migrate, find: '  await switchOwner(leader, { vmId, startsOnHold, signal: context.signal })\n', put: '' },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'move-without-undo',
    says: 'A move that failed is not undone.',
    patches: [
      {
        file: migrate,
        find: 'undo: ({ task, journal, signal }) => goBack(tools, { vmId: journal.vmId, taskId: task.id, signal }),',
        put: 'undo: async () => undefined,',
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'source-goes-on-after-the-switch',
    says: 'A move that is undone after the owner has changed lets the source go on.',
    patches: [
      {
        file: migrate,
        find: "pointOfNoReturn: 'complete',",
        put: "pointOfNoReturn: 'let-go',",
      },
      {
        file: 'src/engine/vms/end-migration.ts',
        find: "if (leader.index.state().vms.get(vmId)?.migration?.phase === 'switched') {",
        put: "if (leader.index.state().vms.get(vmId)?.migration?.taskId === '') {",
      },
      {
        file: 'src/engine/vms/end-migration.ts',
        find: "  await untilLetGo(tools, { vmId, side: 'destination', signal })\n  for (;;) {",
        put: '  for (;;) {',
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'tasks-are-not-resumed',
    says: 'A new leader leaves the tasks of the one before it lying.',
    patches: [
      {
        file: runner,
        find: 'if (task.endedAt === null) begin(task.id)',
        put: "if (task.endedAt === '') begin(task.id)",
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'failed-task-is-not-undone',
    says: 'What a failed task has begun stays as it is.',
    patches: [{ file: runner, find: '  if (!isKept) {\n', put: '  if (!isKept && taskId.length === 0) {\n' }],
    caughtBy: [...liveness, 'no-orphan-volumes', 'no-missing-volumes'],
  },
  {
    id: 'undo-is-tried-once',
    says: 'An undo that fails is not tried again.',
    patches: [
      {
        file: runner,
        find: 'attempt <= maximumAttempts && !leader.signal.aborted',
        put: 'attempt <= 1 && !leader.signal.aborted',
      },
    ],
    caughtBy: [...liveness, 'no-orphan-volumes', 'no-missing-volumes'],
  },
  {
    id: 'step-is-tried-once',
    says: 'A step after the point of no return is not repeated when it fails.',
    patches: [
      {
        file: runner,
        find: 'const attempts = step.isRepeated ? maximumAttempts : mayPass ? step.attempts : 1',
        put: 'const attempts = step.isRepeated ? 1 : mayPass ? step.attempts : 1',
      },
    ],
    caughtBy: [...liveness, 'no-orphan-volumes', 'no-missing-volumes'],
  },
  {
    id: 'deleted-while-it-runs',
    says: 'The disks of a machine are deleted before its host has let go of it.',
    patches: [
      {
        file: 'src/engine/vms/delete-vm.ts',
        find: 'if (await hasLetGo(leader, agents, { vm, hostId })) letGoBy.add(hostId)',
        put: 'letGoBy.add(hostId)',
      },
    ],
    caughtBy: [...safety, 'no-orphan-taps'],
  },
  {
    id: 'deleted-but-for-its-disks',
    says: 'A deleted machine’s disks stay.',
    patches: [
      {
        file: 'src/engine/vms/delete-vm.ts',
        find: 'run: ({ journal }) => deleteDisks(leader, agents, journal.vmId),',
        put: 'run: async () => undefined,',
      },
    ],
    caughtBy: ['no-orphan-volumes', 'no-missing-volumes'],
  },
  {
    id: 'volumes-are-not-forgotten',
    says: 'The store keeps the volumes of a machine that is gone.',
    patches: [
      {
        file: 'src/engine/vms/forget-vm.ts',
        find: '    ...vm.spec.disks.map((disk) => keys.volume(disk.volumeId)),\n',
        put: '',
      },
    ],
    caughtBy: ['no-orphan-volumes', 'no-missing-volumes', 'claims-are-unique'],
  },
  {
    id: 'failed-creation-is-remembered',
    says: 'A machine that could not be made stays in the store.',
    patches: [
      {
        file: 'src/engine/vms/create-vm.ts',
        find: '          await forgetVm(leader, journal.vmId)\n',
        put: '',
      },
    ],
    caughtBy: [...liveness, 'no-missing-volumes'],
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
    id: 'void-epoch-is-ordered-for-ever',
    says: 'A start whose epoch is void at its host is ordered again and again under that epoch.',
    patches: [
      {
        file: 'src/engine/vms/give-orders.ts',
        find: "error.code === 'stale-epoch')",
        put: "error.code === 'not-found')",
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'waiting-is-for-ever',
    says: 'What waits for time to pass is not looked at again.',
    patches: [
      {
        file: 'src/engine/vms/reconcile-vms.ts',
        find: 'for (const vmId of waiting) touched.add(vmId)',
        put: 'for (const vmId of waiting) touched.delete(vmId)',
      },
    ],
    caughtBy: liveness,
  },
  {
    id: 'released-below-its-epoch',
    says: 'A host is asked to let go of the epoch before the one that it holds.',
    patches: [
      {
        file: 'src/engine/vms/give-orders.ts',
        find: 'upToEpoch: decision.upToEpoch })',
        put: 'upToEpoch: decision.upToEpoch - 1 })',
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
  {
    id: 'new-boot-is-no-news',
    says: 'A host’s new session is not stored: orders go on being addressed to the old one.',
    patches: [
      {
        file: 'src/engine/hosts/store-heartbeat.ts',
        find: 'session: heartbeat.session,\n    bootId',
        put: 'session: host.status.session ?? heartbeat.session,\n    bootId',
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
        find: 'else if (heartbeat.sequence <= newest.sequence) {',
        put: 'else if (heartbeat.sequence < 0) {',
      },
      {
        file: 'src/engine/hosts/overtaken-heartbeats.ts',
        find: 'if (gone.includes(heartbeat.session))',
        put: 'if (gone.length < 0)',
      },
      {
        file: 'src/engine/hosts/host-table.ts',
        find: 'if (!isOlder) entry.heartbeat = heartbeat',
        put: 'entry.heartbeat = isOlder ? heartbeat : heartbeat',
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
]
