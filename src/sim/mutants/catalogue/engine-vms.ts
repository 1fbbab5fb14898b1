/** Bugs in how the engine carries out what is wanted of machines: orders, moves, tasks. */
import { liveness, type Mutant, safety } from '../mutant.ts'

const runner = 'src/engine/tasks/task-runner.ts'
const migrate = 'src/engine/vms/migrate-saga.ts'

export const engineVmMutants: readonly Mutant[] = [
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
    caughtBy: [...safety, ...liveness, 'no-false-failover'],
  },
  {
    id: 'move-forgets-the-owner',
    says: 'A machine is let run at its destination without a change of its owner in the store.',
    patches: [
      { file: migrate, find: '  await switchOwner(leader, { vmId, startsOnHold, signal: context.signal })\n', put: '' },
    ],
    caughtBy: [...safety, ...liveness, 'no-false-failover'],
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
    survives:
      'Only a task that is cancelled in the very moment of the switch is undone after it, and the workload cancels no task.',
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
        file: 'src/engine/vms/let-go.ts',
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
    caughtBy: ['volumes-have-a-vm'],
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
        find: 'upToEpoch: decision.upToEpoch,',
        put: 'upToEpoch: decision.upToEpoch - 1,',
      },
    ],
    caughtBy: [...safety, ...liveness],
  },
]
