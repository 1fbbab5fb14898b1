/**
 * Restarts a cell of a service: what others need comes first and serves before they follow; each machine goes on from memory where it can.
 * Then it is judged whether that cured, and learned from. Healthy machines that need the cell are told of it in their ledger.
 */

import { expectedAwayMs, recoveryOf } from '../../control/services/judge-objective.ts'
import { noteRestart } from '../../control/services/restart-lessons.ts'
import { memberHealth, membersOf } from '../../control/services/service-status.ts'
import { inWaves, neededBy, wavesOf } from '../../control/services/start-waves.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { type CellRestart, cellRestartKind, cellRestartSchema } from '../../model/service/cell-restart.ts'
import type { ServiceFile } from '../../model/service/service-file.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged, untilCommitted } from '../leader.ts'
import type { LedgerKeeper } from '../ledger/keep-ledger.ts'
import { machineTarget } from '../order-target.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'

type Ports = { readonly agents: AgentPort; readonly ledger: LedgerKeeper }

/** So many times what its recovery usually takes: what does not serve by then is not waited for, a larger cell may be what cures it. */
const patienceFactor = 8
const leastPatienceMs = 10_000
const mostPatienceMs = 60_000
/** So long all has to serve, to count as cured. */
const servesForMs = 500
/** Until its agent has told that a machine is restarted; one that could not be restarted tells nothing. */
const seenWithinMs = 2_000
const lookAgainMs = 20

export function restartCellSaga(leader: Leader, ports: Ports): RunnableSaga {
  return defineSaga<CellRestart>({
    kind: cellRestartKind,
    journalSchema: cellRestartSchema,
    pointOfNoReturn: 'tell',
    steps: [
      {
        name: 'tell',
        message: 'enters it in the ledger of all whom it concerns',
        timeoutMs: 30_000,
        run: ({ journal }) => tell(leader, ports.ledger, journal),
      },
      {
        name: 'restart',
        message: 'restarts the machines of the cell',
        timeoutMs: 600_000,
        run: (context) => restart(leader, ports.agents, context),
      },
      {
        name: 'judge',
        message: 'looks whether that cured it',
        timeoutMs: 120_000,
        run: (context) => judge(leader, context),
      },
      {
        name: 'learn',
        isRepeated: true,
        message: 'remembers how it ended',
        timeoutMs: 30_000,
        run: ({ journal }) => learn(leader, journal),
      },
    ],
  })
}

async function tell(leader: Leader, ledger: LedgerKeeper, journal: CellRestart): Promise<void> {
  const service = leader.index.state().services.get(journal.serviceId)
  if (service === undefined) return
  const { components, levels, level, reason } = journal
  const { name, file } = service.spec
  const at = leader.clock.wallTime().toISOString()
  const fact = { kind: 'cell-restart', at, serviceName: name, cell: levels[level] ?? '', components, reason } as const
  for (const [component, machines] of membersOf(leader.index.state(), journal.serviceId)) {
    const isWithIt = components.includes(component)
    const isNeighbour = [...neededBy(file.components, component)].some((needed) => components.includes(needed))
    if (!isWithIt && !isNeighbour) continue
    for (const { spec } of machines) await ledger.note(spec.id, { ...fact, isWithIt })
  }
}

async function restart(
  leader: Leader,
  agents: AgentPort,
  { journal, signal, progress }: StepContext<CellRestart>,
): Promise<void> {
  const service = leader.index.state().services.get(journal.serviceId)
  if (service === undefined) return
  const waves = inWaves(wavesOf(service.spec.file.components), journal.components)
  for (const [number, wave] of waves.entries()) {
    progress(number / waves.length, `restarts ${wave.join(', ')}`)
    const machines = machinesOf(leader, journal, wave)
    const lives = new Map(machines.map((vm) => [vm.spec.id, lifeOf(vm)]))
    await Promise.all(machines.map((vm) => restartMachine(leader, agents, vm)))
    // Whether the last one serves is seen when it is judged; that it is gone has to be seen before.
    const isLast = number === waves.length - 1
    const withinMs = isLast ? seenWithinMs : patienceMs(service.spec.file, wave)
    await untilAll(leader, { signal, withinMs, forMs: 0 }, () =>
      machinesOf(leader, journal, wave).every(
        (vm) => (isLast || isWell(vm)) && (lives.get(vm.spec.id) !== lifeOf(vm) || vm.status?.state !== 'running'),
      ),
    )
  }
}

/** Of the slowest of them. */
function patienceMs(file: ServiceFile, names: readonly string[]): number {
  const usual = names.map((name) => {
    const component = file.components[name]
    return component === undefined ? 0 : expectedAwayMs(recoveryOf(file, component), component.probe)
  })
  return Math.min(mostPatienceMs, Math.max(leastPatienceMs, patienceFactor * Math.max(0, ...usual)))
}

function lifeOf({ status }: VmRecord): string {
  return `${status?.epoch}/${status?.incarnation}`
}

/** One that is not running is being brought back by others already. */
async function restartMachine(leader: Leader, agents: AgentPort, { spec, status }: VmRecord): Promise<void> {
  if (spec.desired !== 'running' || status?.state !== 'running') return
  const order = (rung: 'resume-here' | 'boot') => {
    const { host, authority, placement } = machineTarget(leader, spec.id)
    return agents.recoverMachine(host, { vmId: spec.id, authority, epoch: placement.epoch, rung })
  }
  const first = spec.recovery.mode === 'boot' ? 'boot' : 'resume-here'
  try {
    await order(first)
  } catch (error) {
    leader.logger.info('service.member-not-restarted', { vmId: spec.id, rung: first, error })
    // Without an image, by a boot; a machine that began to recover by itself meanwhile refuses that, too.
    if (first !== 'boot')
      await order('boot').catch((again: unknown) =>
        leader.logger.warn('service.member-not-restarted', { vmId: spec.id, rung: 'boot', error: again }),
      )
  }
}

/** Cured: the suspects serve, and so does all that needs them, for a moment. */
async function judge(
  leader: Leader,
  { journal, signal }: StepContext<CellRestart>,
): Promise<Partial<CellRestart> & object> {
  if (journal.endedAt !== null) return {}
  const concerned = concernedBy(leader, journal)
  const file = leader.index.state().services.get(journal.serviceId)?.spec.file
  const withinMs = file === undefined ? 0 : patienceMs(file, concerned)
  const isCured = await untilAll(leader, { signal, withinMs, forMs: servesForMs }, () =>
    machinesOf(leader, journal, concerned).every(isWell),
  )
  const cell = journal.levels[journal.level] ?? ''
  const summary = `${journal.components.join(', ')} (${cell}) ${isCured ? 'cured it' : 'did not cure it'}`
  return { isCured, endedAt: leader.clock.wallTime().toISOString(), ...{ summary } }
}

function concernedBy(leader: Leader, { serviceId, suspects, components }: CellRestart): readonly string[] {
  const file = leader.index.state().services.get(serviceId)?.spec.file
  const own = new Set([...suspects, ...components])
  return Object.keys(file?.components ?? {}).filter(
    (name) => own.has(name) || [...neededBy(file?.components ?? {}, name)].some((needed) => own.has(needed)),
  )
}

async function learn(leader: Leader, journal: CellRestart): Promise<void> {
  const { serviceId, isCured, endedAt } = journal
  await untilCommitted(journal.symptom, async () => {
    const service = leader.index.state().services.get(serviceId)
    if (service === undefined || isCured === null || endedAt === null) return true
    const key = keys.serviceLessons(serviceId)
    const condition = unchanged(leader, key)
    const tookMs = Date.parse(endedAt) - Date.parse(journal.beganAt)
    const lessons = noteRestart(service.lessons, { ...journal, isCured, tookMs })
    const event = leader.events.write({
      kind: isCured ? 'service.cured' : 'service.not-cured',
      subject: service.spec.name,
      message: `the restart of ${journal.components.join(', ')} ${isCured ? `cured ${journal.symptom} after ${tookMs} ms` : `did not cure ${journal.symptom}`}`,
    })
    const result = await commitAndSee(leader, { conditions: [condition], writes: [put(key, lessons), event] })
    return result.kind === 'committed' ? true : undefined
  })
}

function machinesOf(leader: Leader, { serviceId }: CellRestart, components: readonly string[]): readonly VmRecord[] {
  const members = membersOf(leader.index.state(), serviceId)
  return components.flatMap((component) => members.get(component) ?? [])
}

function isWell(vm: VmRecord): boolean {
  const health = memberHealth(vm)
  return health === 'serving' || health === 'away'
}

/** Whether it came to be so within that time, and stayed so for that long. */
async function untilAll(
  leader: Leader,
  { signal, withinMs, forMs }: { readonly signal: AbortSignal; readonly withinMs: number; readonly forMs: number },
  isSo: () => boolean,
): Promise<boolean> {
  const givesUpAtMs = leader.clock.bootTimeMs() + withinMs
  let sinceMs: number | undefined
  for (;;) {
    signal.throwIfAborted()
    const nowMs = leader.clock.bootTimeMs()
    sinceMs = isSo() ? (sinceMs ?? nowMs) : undefined
    if (sinceMs !== undefined && nowMs - sinceMs >= forMs) return true
    if (nowMs > givesUpAtMs) return false
    await leader.clock.sleep(lookAgainMs, signal)
  }
}
