/** Watches the machines that somebody is changing, and takes a change back when it made its machine worse and its owner wants that. */
import { type ChangeFacts, judgeChange } from '../../control/change/judge-change.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import type { TaskId, VmId } from '../../model/ids.ts'
import type { VmChange } from '../../model/snapshots/vm-change.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import type { SnapshotTasks } from '../snapshots/snapshot-tasks.ts'
import { keys } from '../state/keys.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import type { EndChangeJournal } from './change-sagas.ts'
import { runCheck } from './look-at-condition.ts'

export type ChangeKeeper = {
  look(): Promise<void>
  /** Takes it back now. */
  revert(vm: VmRecord, change: VmChange, user: string): Promise<TaskId>
  end(
    vm: VmRecord,
    change: VmChange,
    how: { readonly outcome: EndChangeJournal['outcome']; readonly user: string },
  ): Promise<TaskId>
}

type Seen = {
  wrongSinceMs: number | null
  checkedAtMs: number
  ended: Map<string, (number | null)[]>
  isChecking: boolean
}

const checkEveryMs = 2_000
const watcher = 'change'

export function createChangeKeeper(
  leader: Leader,
  {
    agents,
    snapshotTasks,
    tasks,
  }: { readonly agents: AgentPort; readonly snapshotTasks: SnapshotTasks; tasks(): TaskRunner },
): ChangeKeeper {
  const seen = new Map<VmId, Seen>()

  const end: ChangeKeeper['end'] = async ({ spec }, { snapshotId }, { outcome, user }) => {
    const journal: EndChangeJournal = { vmId: spec.id, snapshotId, outcome }
    const present = [...leader.index.state().tasks.values()].find(
      (task) => task.kind === 'vm.change-end' && task.vmId === spec.id && task.endedAt === null,
    )
    if (present !== undefined) return present.id
    const wanted = { kind: 'vm.change-end', subject: spec.name, user, vmId: spec.id, journal }
    const { task, write } = tasks().prepare(wanted)
    await commitAndSee(leader, { conditions: [], writes: [write] })
    tasks().begin(task.id)
    return task.id
  }

  const revert: ChangeKeeper['revert'] = async ({ spec }, change, user) => {
    const { snapshotId, worse } = change
    const more = (task: { readonly id: TaskId }) => [put(keys.vmChange(spec.id), { ...change, revertTaskId: task.id })]
    const how = { snapshotId, isPlanned: worse === null, keepAs: null }
    return (await snapshotTasks.revert(spec, how, { user, more })).id
  }

  const lookAt = async (vm: VmRecord, change: VmChange) => {
    const task = change.revertTaskId === null ? undefined : leader.index.state().tasks.get(change.revertTaskId)
    if (task?.state === 'succeeded') return void (await end(vm, change, { outcome: 'reverted', user: task.user }))
    if (task !== undefined && task.endedAt === null) return
    const facts = factsOf(leader, vm, memoryOf(seen, vm.spec.id))
    runChecks(leader, agents, { vmId: vm.spec.id, checks: change.checks, memory: memoryOf(seen, vm.spec.id) })
    const verdict = judgeChange(change, facts)
    // One that could not be taken back waits for a person; one that is open is not taken for committed.
    if (verdict.kind !== 'worse' || change.worse !== null) return
    const worse = { at: leader.clock.wallTime().toISOString(), reason: verdict.reason }
    const next = { ...change, worse }
    const key = keys.vmChange(vm.spec.id)
    const event = leader.events.write({
      kind: 'vm.change-worse',
      subject: vm.spec.name,
      message: change.isAuto
        ? `${verdict.reason}: it is taken back`
        : `${verdict.reason}: take it back with dialtone vm change revert ${vm.spec.name}, or keep it with dialtone vm change commit ${vm.spec.name}`,
      vmId: vm.spec.id,
    })
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, key)],
      writes: [put(key, next), event],
    })
    if (result.kind === 'committed' && change.isAuto) await revert(vm, next, watcher)
  }

  return {
    end,
    revert,
    async look() {
      for (const vmId of seen.keys()) if (leader.index.state().vms.get(vmId)?.change === undefined) seen.delete(vmId)
      for (const vm of leader.index.state().vms.values()) if (vm.change !== undefined) await lookAt(vm, vm.change)
    },
  }
}

function memoryOf(seen: Map<VmId, Seen>, vmId: VmId): Seen {
  const memory = seen.get(vmId) ?? { wrongSinceMs: null, checkedAtMs: -Infinity, ended: new Map(), isChecking: false }
  seen.set(vmId, memory)
  return memory
}

function factsOf(leader: Leader, { spec, status }: VmRecord, memory: Seen): ChangeFacts {
  const nowMs = leader.clock.wallTime().getTime()
  const service = status?.recovery?.service ?? 'unknown'
  const isAway = service === 'wrong' || status?.state !== 'running'
  memory.wrongSinceMs = isAway ? (memory.wrongSinceMs ?? nowMs) : null
  // What its owner has stopped is not worse for it.
  const isWanted = spec.desired === 'running'
  return {
    state: status?.state ?? 'stopped',
    service: isWanted ? service : 'correct',
    wrongSinceMs: isWanted ? memory.wrongSinceMs : null,
    crashes: status?.crashes ?? 0,
    checks: [...memory.ended].map(([check, ended]) => ({ check, ended: [...ended] })),
    nowMs,
  }
}

/** Beside the look: a guest may take its time to answer. */
function runChecks(
  leader: Leader,
  agents: AgentPort,
  { vmId, checks, memory }: { readonly vmId: VmId; readonly checks: readonly string[]; readonly memory: Seen },
): void {
  const nowMs = leader.clock.bootTimeMs()
  if (memory.isChecking || checks.length === 0 || nowMs - memory.checkedAtMs < checkEveryMs) return
  memory.isChecking = true
  memory.checkedAtMs = nowMs
  const run = async () => {
    for (const check of checks) {
      const exitCode = await runCheck(leader, agents, { vmId, check })
      memory.ended.set(check, [...(memory.ended.get(check) ?? []), exitCode].slice(-2))
    }
  }
  void run().finally(() => {
    memory.isChecking = false
  })
}
