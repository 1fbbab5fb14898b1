/** Watches the services, and has a cell restarted where the policy says so. What it remembers may be forgotten: patience begins anew. */
import { type ComponentCondition, decideRestart, type RestartDecision } from '../../control/services/decide-restart.ts'
import { restartsOf } from '../../control/services/restart-history.ts'
import { memberHealth, membersOf } from '../../control/services/service-status.ts'
import type { Task } from '../../model/cluster.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import type { ServiceId, VmId } from '../../model/ids.ts'
import { type CellRestart, cellRestartKind } from '../../model/service/cell-restart.ts'
import type { ServiceRecord } from '../../model/service/service.ts'
import { commitAndSee, type Leader, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'

export type ServiceKeeper = { look(): Promise<void> }

/** Since when a machine does not serve, and how often it began a new life since. */
type Seen = {
  failingSinceMs: number | null
  servingSinceMs: number | null
  life: string
  lives: number
  hasServed: boolean
}

/** One that serves for a shorter time goes on failing. */
const calmMs = 5_000
const user = 'restart-tree'

export function createServiceKeeper(leader: Leader, tasks: () => TaskRunner): ServiceKeeper {
  const seen = new Map<VmId, Seen>()
  const told = new Map<ServiceId, string>()
  return {
    async look() {
      const state = leader.index.state()
      if (state.services.size === 0) return
      const nowMs = leader.clock.bootTimeMs()
      for (const vmId of seen.keys()) if (!state.vms.has(vmId)) seen.delete(vmId)
      for (const service of state.services.values()) {
        const application = lastApplication(leader, service)
        // While machines come and go by order, that they do not serve is no failure.
        if (service.spec.lifecycle !== 'live' || application === 'running') continue
        const conditions = conditionsOf(leader, service, { seen, nowMs, allHaveServed: application === 'succeeded' })
        if ([...conditions.values()].every(({ isServing }) => isServing)) {
          told.delete(service.spec.id)
          continue
        }
        const decision = decideRestart({
          file: service.spec.file,
          conditions,
          lessons: service.lessons,
          restarts: restartsOf(state, service.spec.id),
          oracle: { kind: 'learned' },
          nowMs: leader.clock.wallTime().getTime(),
        })
        await carryOut(leader, { service, decision, tasks: tasks(), told })
      }
    },
  }
}

/** How its newest application ended; undefined when its task is forgotten. */
function lastApplication(leader: Leader, { spec }: ServiceRecord): Task['state'] | undefined {
  const own = [...leader.index.state().tasks.values()].filter(
    ({ kind, subject }) => kind === 'service.apply' && subject === spec.name,
  )
  return own.toSorted((left, right) => left.createdAt.localeCompare(right.createdAt)).at(-1)?.state
}

async function carryOut(
  leader: Leader,
  how: {
    readonly service: ServiceRecord
    readonly decision: RestartDecision
    readonly tasks: TaskRunner
    readonly told: Map<ServiceId, string>
  },
): Promise<void> {
  const { service, decision, tasks, told } = how
  const { id, name } = service.spec
  if (decision.kind === 'needs-person' && told.get(id) !== decision.reason) {
    told.set(id, decision.reason)
    await leader.events.record({ kind: 'service.needs-person', subject: name, message: decision.reason })
  }
  if (decision.kind !== 'restart') return
  const { symptom, levels, level, failedLevel, suspects, reason, waves, neighbours } = decision
  const journal: CellRestart = {
    serviceId: id,
    ...{ symptom, level, failedLevel, reason, isCured: null, endedAt: null },
    levels: levels.map((one) => one.name),
    components: waves.flat(),
    suspects: [...suspects],
    beganAt: leader.clock.wallTime().toISOString(),
  }
  const cell = journal.levels[level] ?? ''
  const { task, write } = tasks.prepare({ kind: cellRestartKind, subject: `${name}: ${cell}`, user, journal })
  const missed = neighbours.length === 0 ? '' : `; ${neighbours.join(', ')} may miss answers meanwhile`
  const event = leader.events.write({
    kind: 'service.restarting',
    subject: name,
    message: `cell ${cell}: ${reason}${missed}`,
  })
  const result = await commitAndSee(leader, {
    conditions: [unchanged(leader, keys.service(id))],
    writes: [write, event],
  })
  if (result.kind === 'committed') tasks.begin(task.id)
}

function conditionsOf(
  leader: Leader,
  { spec }: ServiceRecord,
  how: { readonly seen: Map<VmId, Seen>; readonly nowMs: number; readonly allHaveServed: boolean },
): ReadonlyMap<string, ComponentCondition> {
  const members = membersOf(leader.index.state(), spec.id)
  return new Map(
    Object.keys(spec.file.components).map((name) => {
      const machines = (members.get(name) ?? []).filter((vm) => memberHealth(vm) !== 'away')
      const each = machines.map((vm) => follow(vm, how))
      const failing = each.filter((one) => one.failingForMs > 0)
      const condition: ComponentCondition = {
        isServing: failing.length === 0,
        failingForMs: Math.max(0, ...failing.map((one) => one.failingForMs)),
        ownRecoveries: Math.max(0, ...failing.map((one) => one.ownRecoveries)),
        obstacle: failing.map((one) => one.obstacle).find((obstacle) => obstacle !== null) ?? null,
      }
      return [name, condition]
    }),
  )
}

type Followed = { readonly failingForMs: number; readonly ownRecoveries: number; readonly obstacle: string | null }

function follow(
  vm: VmRecord,
  {
    seen,
    nowMs,
    allHaveServed,
  }: { readonly seen: Map<VmId, Seen>; readonly nowMs: number; readonly allHaveServed: boolean },
): Followed {
  const { spec, status } = vm
  const life = `${status?.epoch}/${status?.incarnation}`
  const memory = seen.get(spec.id) ?? {
    ...{ failingSinceMs: null, servingSinceMs: null, life, lives: 0, hasServed: false },
  }
  seen.set(spec.id, memory)
  const health = memberHealth(vm)
  if (health === 'serving') {
    memory.hasServed = true
    memory.servingSinceMs ??= nowMs
    if (nowMs - memory.servingSinceMs >= calmMs) memory.failingSinceMs = null
    memory.life = life
    if (memory.failingSinceMs === null) memory.lives = 0
    return { failingForMs: 0, ownRecoveries: 0, obstacle: null }
  }
  memory.servingSinceMs = null
  const hasServed = memory.hasServed || allHaveServed
  const obstacle = hasServed
    ? obstacleOf(vm)
    : `${spec.name} has not served yet: what never worked is cured by no restart`
  if (memory.failingSinceMs === null) Object.assign(memory, { failingSinceMs: nowMs, lives: 0 })
  // Patience begins when it could recover by itself.
  if (obstacle !== null) Object.assign(memory, { failingSinceMs: nowMs, lives: 0, life })
  if (memory.life !== life) memory.lives += 1
  memory.life = life
  const isUnderWay = health === 'recovering' ? 1 : 0
  return {
    failingForMs: Math.max(1, nowMs - (memory.failingSinceMs ?? nowMs)),
    ownRecoveries: Math.max(0, memory.lives - isUnderWay),
    obstacle,
  }
}

/** What keeps it from serving, where a restart would not help it. */
function obstacleOf({ spec, status }: VmRecord): string | null {
  switch (status?.state) {
    case 'unknown':
    case 'lost':
    case 'waiting':
    case 'frozen':
      return `${spec.name} is ${status.state}: ${status.detail}`
    default:
      return null
  }
}
