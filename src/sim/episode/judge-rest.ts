/** What has to be true some time after the last fault: everything that should run runs, and only that; nothing is left to do. */
import { planCluster } from '../../control/plan/plan-cluster.ts'
import { examine } from '../../controller/doctor/examine.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import { requireController } from '../controller/controller-machine.ts'
import type { World } from '../world/world.ts'

export type RestOptions = {
  readonly withinMs: number
  note(checker: string, message: string): void
}

export async function judgeRest(world: World, { withinMs, note }: RestOptions): Promise<void> {
  const switchOn = createOperator(world)
  for (const host of world.parts.hosts.keys()) void world.request({ call: 'endMaintenance', params: { host } })
  const endsAtMs = world.nowMs() + withinMs
  let unrest = findUnrest(world)
  let restSinceMs = world.nowMs()
  while (world.nowMs() - restSinceMs < restHoldsMs) {
    if (world.nowMs() > endsAtMs) return void unrest.map(({ checker, message }) => note(checker, message))
    await world.advance(lookEveryMs)
    switchOn()
    const found = findUnrest(world)
    if (found.length > 0) {
      unrest = found
      restSinceMs = world.nowMs()
    }
  }
  await lookAtSlots(world, note)
  await askDoctor(world, note)
}

/** A pill that stays kills whatever is started on that host, and is seen by nobody as long as there is room elsewhere. */
async function lookAtSlots({ parts }: World, note: RestOptions['note']): Promise<void> {
  for (const { spec, contents } of parts.sharedStorages()) {
    for (const { spec: host } of parts.hosts.values()) {
      const slot = await contents
        .storageOf(host.name)
        .readSlot(host.number)
        .catch(() => undefined)
      if (slot !== undefined)
        note('pills-are-cleared', `${host.name} is admitted, and its slot on ${spec.name} has ${slot}`)
    }
  }
}

const lookEveryMs = 200
/** What has come to rest stays so. */
const restHoldsMs = 1_500

/** A person who switches hosts on again that fencing has switched off, and cuts the power of guests that don't listen to their button. */
function createOperator(world: World): () => void {
  const { parts, nowMs } = world
  const offSinceMs = new Map<string, number>()
  return () => {
    for (const name of deafMachines(world)) void world.request({ call: 'killVm', params: { vm: name } })
    for (const host of parts.hosts.values()) {
      const { name } = host.spec
      if (host.boot() !== undefined) offSinceMs.delete(name)
      else if (!offSinceMs.has(name)) offSinceMs.set(name, nowMs())
      else if (nowMs() - (offSinceMs.get(name) ?? 0) > walkMs) host.powerOn()
    }
  }
}

/** They are stopping, and the task that was to see to it has given up. */
function deafMachines({ parts, state }: World): readonly string[] {
  if (parts.controller.engine() === undefined) return []
  const { vms, tasks } = state()
  const worked = new Set([...tasks.values()].filter(({ endedAt }) => endedAt === null).map(({ vmId }) => vmId))
  const deaf = [...vms.values()].filter(({ spec, status }) => status?.state === 'stopping' && !worked.has(spec.id))
  return deaf.map(({ spec }) => spec.name)
}

const walkMs = 5_000

type Unrest = { readonly checker: string; readonly message: string }

function findUnrest(world: World): readonly Unrest[] {
  if (world.parts.controller.engine() === undefined)
    return [{ checker: 'what-should-run-runs', message: 'no controller leads' }]
  const state = world.state()
  const unrest = [
    ...[...state.hosts.values()]
      .filter(({ status }) => status.state !== 'online')
      .map(({ spec, status }) => ({
        checker: 'what-should-run-runs',
        message: `${spec.name} is ${status.state}: ${status.detail}`,
      })),
    ...[...state.tasks.values()]
      .filter(({ endedAt }) => endedAt === null)
      .map(({ id, kind, subject, message }) => ({
        checker: 'tasks-end',
        message: `${id} (${kind} of ${subject}) has not ended: ${message}`,
      })),
    ...[...state.vms.values()].flatMap((vm) => unrestOf(world, state, vm)),
  ]
  return unrest.length > 0 ? unrest : findPlans(world)
}

/** The truth is in the kernels of the hosts, not in what anybody reports. */
function unrestOf(world: World, state: ClusterState, { spec, placement, status }: VmRecord): readonly Unrest[] {
  const runs = [...world.parts.hosts.values()].flatMap((host) =>
    (host.boot()?.kernel.living() ?? [])
      .filter(({ definition }) => definition.vmId === spec.id)
      .map((machine) => ({ hostName: host.spec.name, state: machine.state })),
  )
  const told = `${spec.name} is to be ${spec.desired}, is said to be ${status?.state ?? 'nothing'} (${status?.detail ?? ''})`
  const seen = runs.map((one) => `${one.state} on ${one.hostName}`).join(' and ') || 'nowhere'
  const placedOn = placement === undefined ? undefined : state.hosts.get(placement.hostId)?.spec.name
  const isDown = status?.state === 'waiting' || status?.state === 'stopped'
  const isToWait = isDown && status.detail.startsWith('no host fits')
  const wanted = spec.desired === 'stopped' || isToWait ? 0 : 1
  const isRight =
    runs.length === wanted &&
    runs.every(
      ({ hostName, state: machine }) =>
        hostName === placedOn && machine === (spec.desired === 'paused' ? 'paused' : 'running'),
    ) &&
    (isToWait || (status?.state ?? 'stopped') === spec.desired)
  if (isRight) return []
  const checker =
    runs.length > 0 && spec.desired === status?.state ? 'placement-matches-reality' : 'what-should-run-runs'
  return [{ checker, message: `${told}, and is ${seen}` }]
}

function findPlans(world: World): readonly Unrest[] {
  const { leader, questions } = world.engine()
  const planned = {
    cluster: world.state(),
    questions: questions(),
    statistics: new Map(),
    takenAt: leader.clock.wallTime().toISOString(),
    revision: leader.index.revision(),
  }
  return planCluster(planned)
    .vms.filter(({ decision, reason }) => decision !== 'settled' && !isFull({ decision, reason }))
    .map(({ vmName, decision, reason }) => ({
      checker: 'plan-converges',
      message: `${vmName}: ${decision} is still to be done: ${reason}`,
    }))
}

/** Where all hosts are online and none of them has room, a machine waits by right. */
function isFull({ decision, reason }: { readonly decision: string; readonly reason: string }): boolean {
  return decision === 'wait' && reason.startsWith('no host fits')
}

/** What the doctor finds is found to the end: some of it, such as copies of images, is swept away only every few seconds. */
async function askDoctor(world: World, note: RestOptions['note']): Promise<void> {
  let findings = await examineOnce(world)
  for (let looks = 1; findings.length > 0 && looks < doctorLooks; looks += 1) {
    await world.advance(doctorPauseMs)
    findings = await examineOnce(world)
  }
  for (const { checker, message } of findings) note(checker, message)
}

const doctorLooks = 4
const doctorPauseMs = 4_000

async function examineOnce(world: World): Promise<readonly Unrest[]> {
  const life = world.parts.controller.process()?.life
  let found: readonly Unrest[] | undefined
  life?.enter(() => {
    void examine(requireController(world.parts.controller)).then(({ findings }) => {
      found = findings.map(({ invariant, message }) => ({ checker: invariant, message }))
    })
  })
  await world.until('the doctor has looked', () => found !== undefined)
  return found ?? []
}
