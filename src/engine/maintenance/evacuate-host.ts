/**
 * Empties a host. Looks at what is there, again and again, and begins what is due; each move is a task of its own. So it may be cut down
 * at any moment: what it had begun goes on, and it sees by the state how far it has come.
 */
import { z } from 'zod'
import { type EvacuationWish, type MachineMove, planEvacuation } from '../../control/maintenance/plan-maintenance.ts'
import { isWanted } from '../../control/placement/host-occupants.ts'
import type { Task } from '../../model/cluster.ts'
import { isAnswering, type VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type HostId, hostIdSchema, type VmId } from '../../model/ids.ts'
import { maintenanceWishSchema } from '../../model/maintenance.ts'
import { commitAndSee, type Leader } from '../leader.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import { stopForMaintenance } from './change-maintenance.ts'
import { type MigrateVm, moveKinds } from './migrate-vm.ts'

export const evacuationJournalSchema = z.object({ hostId: hostIdSchema, wish: maintenanceWishSchema })
type Journal = z.infer<typeof evacuationJournalSchema>

export type EvacuationParts = {
  readonly leader: Leader
  readonly tasks: () => TaskRunner
  readonly migrate: MigrateVm
}

const lookEveryMs = 250
/** Moves of one machine that fail before it is given up. */
const attemptsAtMost = 3
/** How long nothing may move before what remains is told. */
const patienceMs = 10_000

/** A failure or a cancellation leaves the host in maintenance, with what is still there: nothing is moved back. */
export function evacuateHostSaga(parts: EvacuationParts): RunnableSaga {
  return defineSaga<Journal>({
    kind: 'host.maintenance',
    journalSchema: evacuationJournalSchema,
    pointOfNoReturn: 'evacuate',
    steps: [
      {
        name: 'evacuate',
        message: 'moves its machines to other hosts',
        timeoutMs: 24 * 3_600_000,
        run: (context) => evacuate(parts, context),
      },
    ],
  })
}

/** Resolves when no machine is there any more; throws with what remains, and why. */
export async function evacuate(
  parts: EvacuationParts,
  { journal, task, signal, progress }: StepContext<Journal>,
): Promise<void> {
  const { leader } = parts
  const { hostId } = journal
  const notBegun = new Map<VmId, string[]>()
  let most = 0
  let movedAtMs = leader.clock.bootTimeMs()
  for (;;) {
    signal.throwIfAborted()
    const remaining = machinesOn(leader, hostId)
    if (remaining.length === 0 && !hasMovesUnderWay(leader, task)) return
    if (remaining.length > 0) refuseToGoOn(leader, hostId, remaining)
    most = Math.max(most, remaining.length)
    const look = lookAt(parts, { journal, drain: task, notBegun })
    const isMoving = hasMovesUnderWay(leader, task) || look.due.length > 0 || look.leaving > 0
    if (isMoving) movedAtMs = leader.clock.bootTimeMs()
    else if (leader.clock.bootTimeMs() - movedAtMs > patienceMs) throw whatRemains(leader, hostId, look.stuck)
    for (const move of look.due) await begin(parts, move, { hostId, user: task.user, notBegun })
    const names = [...look.underWay, ...look.due.map(({ vm }) => vm.spec.name)]
    progress((most - remaining.length) / Math.max(1, most), describeProgress(most - remaining.length, most, names))
    await leader.clock.sleep(lookEveryMs, signal)
  }
}

/** What this evacuation has begun: a machine that left is waited for until it runs where it went. */
function hasMovesUnderWay(leader: Leader, { createdAt, user }: Task): boolean {
  return [...leader.index.state().tasks.values()].some(
    (move) =>
      moveKinds.includes(move.kind) && move.endedAt === null && move.user === user && move.createdAt >= createdAt,
  )
}

type Stuck = { readonly name: string; readonly reason: string; readonly verdicts?: unknown }
type Look = {
  /** Names of machines that a task moves. */
  readonly underWay: readonly string[]
  readonly due: readonly MachineMove[]
  /** How many go by themselves. */
  readonly leaving: number
  readonly stuck: Stuck[]
}

type Drain = {
  readonly journal: Journal
  readonly drain: Task
  /** Why moves could not even begin. */
  readonly notBegun: ReadonlyMap<VmId, readonly string[]>
}

function lookAt({ leader, migrate }: EvacuationParts, { journal, drain, notBegun }: Drain): Look {
  const { hostId, wish } = journal
  const state = leader.index.state()
  const evacuation: EvacuationWish = { ...wish, obstacleToMigration: (vm) => migrate.obstacle(state, vm) }
  const { moves } = planEvacuation(state, hostId, evacuation)
  const tasks = [...state.tasks.values()].filter((task) => moveKinds.includes(task.kind))
  const active = tasks.filter(({ endedAt }) => endedAt === null)
  const isUnderWay = (vmId: VmId) => active.some((task) => task.vmId === vmId)
  const failuresOf = (vmId: VmId): readonly string[] => {
    const own = tasks.filter((task) => task.vmId === vmId && task.createdAt >= drain.createdAt)
    return [...(notBegun.get(vmId) ?? []), ...own.flatMap(({ error }) => (error === null ? [] : [error.message]))]
  }
  const look = { underWay: [] as string[], due: [] as MachineMove[], leaving: 0, stuck: [] as Stuck[] }
  for (const move of moves) {
    const { id, name } = move.vm.spec
    const failures = failuresOf(id)
    if (isUnderWay(id)) look.underWay.push(name)
    else if (move.kind === 'leaves') look.leaving += 1
    else if (move.kind === 'refused') look.stuck.push({ name, reason: move.reason, verdicts: move.verdicts })
    else if (failures.length >= attemptsAtMost)
      look.stuck.push({ name, reason: `${failures.length} moves failed: ${failures.at(-1) ?? ''}` })
    else look.due.push(move)
  }
  // Those that have left and are still being moved count, too.
  return { ...look, due: look.due.slice(0, Math.max(0, wish.parallel - active.length)) }
}

async function begin(
  { leader, tasks, migrate }: EvacuationParts,
  move: MachineMove,
  {
    hostId,
    user,
    notBegun,
  }: { readonly hostId: HostId; readonly user: string; readonly notBegun: Map<VmId, string[]> },
): Promise<void> {
  const { vm } = move
  switch (move.kind) {
    case 'migrate':
      // It may have changed since it was looked at: then it is looked at again. A host in maintenance holds no reserve.
      await migrate.begin(vm, { toHostId: move.toHostId, user, isForced: true }).catch((error: unknown) => {
        leader.logger.warn('maintenance.move-not-begun', { vmId: vm.spec.id, error })
        const why = error instanceof Error ? error.message : String(error)
        notBegun.set(vm.spec.id, [...(notBegun.get(vm.spec.id) ?? []), why])
      })
      return
    case 'restart-elsewhere': {
      const { id: vmId, name: subject } = vm.spec
      const { task, write } = tasks().prepare({ kind: 'vm.restart-elsewhere', subject, user, vmId, journal: { vmId } })
      const told = leader.events.write({
        kind: 'vm.restart-asked-for',
        subject,
        message: 'is shut down and started elsewhere, for the maintenance of its host',
        vmId,
        hostId,
        user,
      })
      await commitAndSee(leader, { conditions: [], writes: [write, told] })
      tasks().begin(task.id)
      return
    }
    case 'stop':
      return stopForMaintenance(leader, hostId, vm)
    case 'leaves':
    case 'refused':
      break
  }
}

function machinesOn(leader: Leader, hostId: HostId): readonly VmRecord[] {
  return [...leader.index.state().vms.values()].filter((vm) => vm.placement?.hostId === hostId && isWanted(vm))
}

/** The maintenance was ended, or the host died: its machines with HA are recovered as ever, and nobody waits here for the others. */
function refuseToGoOn(leader: Leader, hostId: HostId, remaining: readonly VmRecord[]): void {
  const host = leader.index.state().hosts.get(hostId)
  if (host === undefined || host.spec.maintenance === null)
    throw new DialtoneError('cancelled', 'its maintenance was ended')
  if (isAnswering(host) || remaining.some(({ spec }) => spec.ha && spec.boundToHostId === null)) return
  if (host.status.state === 'suspect' || host.status.state === 'deaf') return
  const names = remaining.map(({ spec }) => spec.name).join(', ')
  throw new DialtoneError(
    'host-unreachable',
    `${host.spec.name} is ${host.status.state} in the middle of its maintenance; without HA there: ${names}`,
  )
}

function whatRemains(leader: Leader, hostId: HostId, stuck: readonly Stuck[]): DialtoneError {
  const name = leader.index.state().hosts.get(hostId)?.spec.name ?? hostId
  const reasons = stuck.map((one) => `${one.name}: ${one.reason}`).join('; ')
  return new DialtoneError(
    'no-host-fits',
    `${name} takes no machines any more and still holds ${stuck.length}: ${reasons}. Give it back with dialtone host maintenance off ${name}`,
    { detail: { stuck } },
  )
}

function describeProgress(gone: number, most: number, names: readonly string[]): string {
  const moving = names.length === 0 ? '' : `; on their way: ${names.slice(0, 5).join(', ')}`
  return `${gone} of ${most} machines have left${moving}`
}
