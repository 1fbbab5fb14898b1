/**
 * A cluster in one process under virtual time: the product's engine, agents and watchdog processes on simulated hosts. Faults and requests
 * are data; what was seen is checked while it happens. The same configuration and the same calls give the same run.
 */

import { createSignInBrake } from '../../controller/access/sign-in-brake.ts'
import { createFigureDesk } from '../../controller/figures/figure-desk.ts'
import { figureFilesInMemory } from '../../controller/figures/figure-files.ts'
import { apiHandlers } from '../../controller/handlers/api-handlers.ts'
import { createIntroductions } from '../../controller/rebuild/introductions.ts'
import type { Engine } from '../../engine/engine.ts'
import { apiContract } from '../../model/api/contract.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { readInput } from '../../transport/read-input.ts'
import { checkers } from '../checkers/checkers.ts'
import { requireController } from '../controller/controller-machine.ts'
import { type Fault, type FaultWish, faultSchema } from '../faults/fault.ts'
import { type EndOfFault, injectFault } from '../faults/inject-fault.ts'
import { copyOf } from '../net/call.ts'
import type { Checker, Observation, Seen } from '../observation.ts'
import { buildParts } from './build-parts.ts'
import { type WorldConfiguration, type WorldWish, worldConfigurationSchema } from './configuration.ts'
import type { LogLine } from './world-log.ts'
import type { WorldParts } from './world-parts.ts'

/** A call of the public API, by the name of its route. */
export type WorkloadItem = {
  readonly call: keyof typeof apiContract
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export type Outcome =
  | { readonly kind: 'answered'; readonly answer: unknown }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  /** The controller went away, or stood still, while it was being answered. */
  | { readonly kind: 'unanswered' }

export type Violation = { readonly checker: string; readonly atMs: number; readonly message: string }

export type World = {
  readonly configuration: WorldConfiguration
  readonly parts: WorldParts
  nowMs(): number
  /** How many events have happened. */
  steps(): number
  /** When something was last stored, or a guest last began or ceased to run. */
  lastChangeAtMs(): number
  /** Lets virtual time pass: so much, or until `isOver`, which is asked before each event. */
  advance(milliseconds: number, isOver?: () => boolean): Promise<void>
  /** Until this is so, looked at after each event; throws with the name when it isn't within that time (60 s). */
  until(name: string, condition: () => boolean, withinMs?: number): Promise<void>
  /** The answer ends it; so does the time that it was given, and `endFaults`. */
  inject(fault: FaultWish): EndOfFault
  endFaults(): void
  /** Asks the controller over its API; time has to pass for the answer. */
  request(item: WorkloadItem): Promise<Outcome>
  /** The controller's view; throws while none leads. */
  engine(): Engine
  state(): ClusterState
  /** By name, as the controller sees it. */
  vm(name: string): VmRecord | undefined
  readonly log: readonly LogLine[]
  readonly violations: readonly Violation[]
  /** Everything that was seen, for checkers of one's own. */
  onSeen(listener: (seen: Seen) => void): void
}

/** All that has power is up, and the first controller starts, as soon as time passes. */
export async function createWorld(wish: WorldWish): Promise<World> {
  const configuration = worldConfigurationSchema.parse(wish)
  const violations: Violation[] = []
  const listeners: ((seen: Seen) => void)[] = []
  let lastChangeAtMs = 0
  const running: (readonly [string, Checker])[] = Object.entries(checkers).map(([name, make]) => [name, make()])
  const observe = (observation: Observation, atMs: number) => {
    const seen: Seen = { ...observation, atMs }
    if (!observation.kind.startsWith('write-')) lastChangeAtMs = atMs
    for (const [checker, look] of running) {
      const message = look(seen)
      if (message !== undefined) violations.push({ checker, atMs: seen.atMs, message })
    }
    for (const listener of listeners) listener(seen)
  }
  const { time, log, parts } = await buildParts(configuration, observe)
  const worldLog = log.loggerOf('world')
  const faults = new Set<EndOfFault>()

  const world: World = {
    configuration,
    parts,
    log: log.lines,
    violations,
    nowMs: time.nowMs,
    steps: time.steps,
    lastChangeAtMs: () => lastChangeAtMs,
    advance: (milliseconds, isOver) => time.run(time.nowMs() + milliseconds, isOver),
    async until(name, condition, withinMs = 60_000) {
      await time.run(time.nowMs() + withinMs, condition)
      if (!condition()) throw new Error(`this did not come true within ${withinMs} ms: ${name}`)
    },
    inject(faultWish) {
      const fault = faultSchema.parse(faultWish)
      worldLog.info('fault.begins', fault)
      const end = endOnce(injectFault(parts, fault), () => {
        if (isLasting(fault)) worldLog.info('fault.ends', { kind: fault.kind })
        faults.delete(end)
      })
      faults.add(end)
      if ('forMs' in fault && fault.forMs !== undefined) time.after(fault.forMs, end)
      return end
    },
    endFaults() {
      for (const end of [...faults]) end()
    },
    request: (item) => ask(parts, item, worldLog),
    engine() {
      const engine = parts.controller.engine()
      if (engine === undefined) throw new Error('no controller leads')
      return engine
    },
    state: () => world.engine().leader.index.state(),
    vm: (name) => [...world.state().vms.values()].find(({ spec }) => spec.name === name),
    onSeen: (listener) => void listeners.push(listener),
  }
  const beUp = () => {
    for (const [index, host] of [...parts.hosts.values()].entries())
      if (configuration.hosts[index]?.isOn === true) host.beUp()
  }
  if (configuration.hostsComeAfterMs === 0) beUp()
  else time.after(configuration.hostsComeAfterMs, beUp)
  parts.controller.start()
  return world
}

function isLasting(fault: Fault): boolean {
  return 'forMs' in fault
}

function endOnce(end: EndOfFault, ended: () => void): EndOfFault {
  let isOver = false
  return () => {
    if (isOver) return
    isOver = true
    end()
    ended()
  }
}

const user = { name: 'workload', role: 'administrator' } as const
/** There are no files in a simulated world. */
const nowhere = { templates: '/nowhere', isos: '/nowhere', uploads: '/nowhere' }

/** What the controller's server does with a request: validated by the route's schemas, then handled in the controller's own life. */
function ask(
  parts: WorldParts,
  { call, ...given }: WorkloadItem,
  log: { info(event: string, fields: object): void },
): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  log.info('request', { call, ...given.params, ...(typeof given.body === 'object' ? given.body : {}) })
  const refused = (error: unknown) => {
    const { code, message } = error instanceof DialtoneError ? error : new DialtoneError('internal', String(error))
    log.info('request.refused', { call, code, message })
    resolve({ kind: 'refused', code, message })
  }
  try {
    const context = requireController(parts.controller)
    const { life } = parts.controller.process() ?? {}
    if (life === undefined) throw new DialtoneError('host-unreachable', 'no controller answers')
    const brake = createSignInBrake(life.clock)
    const figures = createFigureDesk({
      files: figureFilesInMemory(),
      logger: context.engine.leader.logger,
      nowMs: () => 0,
    })
    const introductions = createIntroductions()
    const surroundings = { ...context, figures, introductions, authorityPem: '', places: nowhere, brake }
    const handler: unknown = Reflect.get(apiHandlers(surroundings), call)
    if (typeof handler !== 'function') throw new DialtoneError('not-found', `there is no route ${call}`)
    const input = readInput(
      apiContract[call],
      { params: undefined, query: undefined, body: undefined, ...copyOf(given) },
      'refuse',
    )
    life.onEnd(() => resolve({ kind: 'unanswered' }))
    life.enter(() => {
      const scope = { signal: new AbortController().signal, after: undefined }
      const answered = async (): Promise<unknown> => Reflect.apply(handler, undefined, [input, user, scope])
      answered().then((answer) => resolve({ kind: 'answered', answer }), refused)
    })
  } catch (error) {
    refused(error)
  }
  return promise
}
