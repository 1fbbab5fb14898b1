/** Plays a scenario in a simulated world: what happened, and what was otherwise than expected. */
import type { VmRecord } from '../../model/cluster-state.ts'
import type { WorldWish } from '../world/configuration.ts'
import { createWorld, type Outcome, type WorkloadItem, type World } from '../world/world.ts'
import type { Expectation } from './expectation.ts'
import { describeNow, isSo, type Surroundings } from './judge-expectation.ts'
import { createNames, type Names } from './names.ts'
import type { Action, Step } from './step.ts'
import { type TimelineLine, toTimelineLine } from './timeline.ts'
import { createWitness } from './witness.ts'

export type Scenario = { readonly cluster: WorldWish; readonly steps: readonly Step[] }

export type ScenarioRun = {
  readonly timeline: readonly TimelineLine[]
  /** Sentences; none when all came as expected and nothing happened that must never be. */
  readonly problems: readonly string[]
}

/** The cluster stands, and its leader may judge hosts. */
const calmMs = 5_000
/** After the last step. */
const endMs = 10_000

/** The same scenario gives the same run. Ends at the first line that fails. */
export async function runScenario({ cluster, steps }: Scenario): Promise<ScenarioRun> {
  const stage = await setStage(cluster)
  const { world, around } = stage
  const problems: string[] = []
  const given = steps.filter(({ action }) => action.kind === 'given')
  const played = steps.filter(({ action }) => action.kind !== 'given')
  try {
    for (const step of given) await atLine(step, () => prepare(stage, step.action))
    await world.advance(calmMs)
    stage.begin()
    for (const step of played) await atLine(step, () => play(stage, step))
    await world.advance(endMs)
    const refusal = around.refusal()
    if (refusal !== undefined) problems.push(`refused, and that was not expected: ${refusal}`)
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
  problems.push(...world.violations.map(({ checker, message }) => `${checker}: ${around.names.without(message)}`))
  return { timeline: stage.timeline(), problems }
}

type Stage = {
  readonly world: World
  readonly around: Surroundings
  begin(): void
  /** Into the timeline, at this moment. */
  note(event: string, action: Action, sentence: string): void
  /** That a fault will be over, unless everything heals before. */
  noteEnd(inMs: number, action: Action, sentence: string): void
  forgetEnds(): void
  ask(item: WorkloadItem): { outcome(): Outcome | undefined }
  forgetRefusal(): void
  timeline(): readonly TimelineLine[]
}

async function setStage(cluster: WorldWish): Promise<Stage> {
  const world = await createWorld({ checksHeartbeats: true, ...cluster })
  const witness = createWitness()
  const names = createNames()
  let own: readonly TimelineLine[] = []
  const mark = { beganAtMs: 0, refusal: '' }
  world.onSeen((seen) => {
    witness.look(seen)
    names.look(seen)
  })
  const powered = world.configuration.hosts.filter(({ isOn }) => isOn).map(({ name }) => name)
  await world.until('all hosts are online', () => areOnline(world, powered))
  names.learn(world.state())
  await world.advance(calmMs)

  const sinceBeginMs = () => world.nowMs() - mark.beganAtMs
  const add = (line: Omit<TimelineLine, 'who'> & { readonly who?: string }) => {
    own = [...own, { who: 'scenario', ...line }]
  }
  return {
    world,
    around: {
      world,
      witness,
      names,
      get beganAtMs() {
        return mark.beganAtMs
      },
      refusal: () => (mark.refusal === '' ? undefined : mark.refusal),
    },
    begin() {
      witness.begin()
      mark.beganAtMs = world.nowMs()
    },
    note: (event, action, sentence) => add({ atMs: sinceBeginMs(), event, subject: subjectOf(action), sentence }),
    noteEnd: (inMs, action, sentence) =>
      add({ atMs: sinceBeginMs() + inMs, event: 'over', subject: subjectOf(action), sentence }),
    forgetEnds() {
      own = own.filter(({ atMs }) => atMs <= sinceBeginMs())
    },
    ask(item) {
      let outcome: Outcome | undefined
      void world.request(item).then((answer) => {
        outcome = answer
        if (answer.kind !== 'refused') return
        mark.refusal = names.without(answer.message)
        const subject = subjectOf({ kind: 'request', item })
        add({ atMs: sinceBeginMs(), who: 'controller', event: 'request.refused', subject, sentence: mark.refusal })
      })
      return { outcome: () => outcome }
    },
    forgetRefusal() {
      mark.refusal = ''
    },
    timeline: () =>
      [...own.filter(({ atMs }) => atMs <= sinceBeginMs()), ...linesSince(world, mark.beganAtMs, names)].toSorted(
        (left, right) => left.atMs - right.atMs,
      ),
  }
}

function linesSince(world: World, beganAtMs: number, names: Names): readonly TimelineLine[] {
  return world.log
    .filter(({ atMs }) => atMs >= beganAtMs)
    .flatMap((line) => toTimelineLine(line, beganAtMs, names) ?? [])
}

function areOnline({ parts, state }: World, hostNames: readonly string[]): boolean {
  if (parts.controller.engine() === undefined) return false
  return [...state().hosts.values()].every(
    ({ spec, status }) => !hostNames.includes(spec.name) || status.state === 'online',
  )
}

async function atLine({ line, text }: Step, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw new Error(`line ${line}, ${text}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

/** A machine that is there, and ready for its recovery, before the scenario begins. */
async function prepare({ world, ask }: Stage, action: Action): Promise<void> {
  if (action.kind !== 'given') return
  const { outcome } = ask(action.item)
  await world.until('it is answered', () => outcome() !== undefined)
  const answer = outcome()
  if (answer?.kind === 'refused') throw new Error(answer.message)
  for (const vm of action.vms) {
    await world.until(`${vm} runs`, () => world.vm(vm)?.status?.state === 'running')
    await world.until(`${vm} is ready to recover`, () => isReadyToRecover(world.vm(vm)))
  }
}

/** Its image is there, and what waits to take it over, on its own host and on the standby. */
function isReadyToRecover(vm: VmRecord | undefined): boolean {
  if (vm?.spec.recovery.mode === 'boot') return true
  return vm?.status?.recovery?.spare === 'ready' && (!vm.spec.ha || vm.standby !== undefined)
}

async function play(stage: Stage, { when, action, text }: Step): Promise<void> {
  const { world, around } = stage
  if (when.kind === 'after') await world.advance(when.timeMs)
  if (when.kind === 'at') {
    const waitMs = around.beganAtMs + when.timeMs - world.nowMs()
    if (waitMs < 0) throw new Error(`it is ${Math.round(world.nowMs() - around.beganAtMs) / 1_000} s already`)
    await world.advance(waitMs)
  }
  switch (action.kind) {
    case 'given':
      return
    case 'wait':
      return world.advance(action.timeMs)
    case 'power-on':
      stage.note('power-on', action, text)
      return world.parts.host(action.host).powerOn()
    case 'heal':
      stage.note('heal', action, text)
      stage.forgetEnds()
      return world.endFaults()
    case 'fault': {
      stage.note('fault', action, text)
      const { fault } = action
      world.inject(fault)
      if ('forMs' in fault && fault.forMs !== undefined) stage.noteEnd(fault.forMs, action, text)
      return
    }
    case 'request':
      stage.note('request', action, text)
      stage.ask(action.item)
      return
    case 'expect':
      await expect(stage, action.expectation)
      if (action.expectation.kind === 'refused') stage.forgetRefusal()
      return stage.note('as-expected', action, text.replace(/^expect /, ''))
  }
}

async function expect({ world, around }: Stage, expectation: Expectation): Promise<void> {
  const { withinMs = 0, forMs = 0 } = expectation
  await world.advance(withinMs, () => isSo(expectation, around))
  if (isSo(expectation, around)) await world.advance(forMs, () => !isSo(expectation, around))
  if (!isSo(expectation, around)) throw new Error(`it is not so: ${describeNow(expectation, around)}`)
}

/** The machine or host that a step is about. */
function subjectOf(action: Action): string {
  switch (action.kind) {
    case 'fault': {
      const place = /^(?:controller|state)-/.test(action.fault.kind) ? 'controller' : 'network'
      return firstOf(action.fault, ['vm', 'host', 'storage']) ?? place
    }
    case 'expect':
      return firstOf(action.expectation, ['vm', 'host', 'service']) ?? 'all'
    case 'request':
      return firstOf({ ...action.item.params, ...bodyOf(action.item) }, ['vm', 'host', 'name', 'service']) ?? 'all'
    case 'power-on':
      return action.host
    case 'given':
    case 'heal':
    case 'wait':
      return 'all'
  }
}

function bodyOf({ params, body }: WorkloadItem): object {
  return params === undefined && typeof body === 'object' && body !== null ? { ...body, host: undefined } : {}
}

function firstOf(value: object, keys: readonly string[]): string | undefined {
  const found = keys.map((key): unknown => Reflect.get(value, key)).find((one) => typeof one === 'string')
  return typeof found === 'string' ? found : undefined
}
