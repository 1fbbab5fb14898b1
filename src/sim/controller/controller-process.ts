/** One life of the product's controller in a simulated world: the engine, the handlers of its API, and its lines to agents. */

import { Duplex } from 'node:stream'
import type { AgentConnections } from '../../controller/agent-connections.ts'
import { callAgents } from '../../controller/call-agents.ts'
import { cloneDisksSaga } from '../../controller/clones/clone-disks-saga.ts'
import { cloneSetSaga } from '../../controller/clones/clone-set-saga.ts'
import { cloneVmSaga } from '../../controller/clones/clone-vm-saga.ts'
import { warmTemplateSaga } from '../../controller/clones/warm-template-saga.ts'
import { applyServiceSaga } from '../../controller/services/apply-service-saga.ts'
import { deleteServiceSaga } from '../../controller/services/delete-service-saga.ts'
import type { AgentPort, FencePort } from '../../engine/agent-port.ts'
import { type Engine, startEngine } from '../../engine/engine.ts'
import { agentContract } from '../../model/agent-protocol/agent-contract.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostSpec } from '../../model/host.ts'
import type { Logger } from '../../model/logger.ts'
import type { Store } from '../../store/store.ts'
import type { Caller as ApiCaller } from '../../transport/caller.ts'
import { type RawInput, readInput } from '../../transport/read-input.ts'
import type { AgentService } from '../host/agent-process.ts'
import { type Callee, type Caller, callOverNetwork, copyOf } from '../net/call.ts'
import { readAnswer } from '../net/read-answer.ts'
import type { SimulatedNetwork } from '../net/simulated-network.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { ProcessLife } from '../time/process-life.ts'
import { bindStore } from './life-bound-store.ts'

export type ControllerProcess = {
  readonly life: ProcessLife
  /** Undefined until it leads. */
  engine(): Engine | undefined
  readonly agents: AgentConnections
}

export type ControllerOptions = {
  readonly life: ProcessLife
  readonly random: SeededRandom
  readonly store: Store
  readonly logger: Logger
  readonly network: SimulatedNetwork
  readonly fences: FencePort
  calleeOf(host: HostSpec): Callee<AgentService>
  broke(error: unknown): void
}

export const controllerPlace = 'controller'
/** As `src/controller/agent-connections.ts`. */
const connectTimeoutMs = 1_500

export function startController(options: ControllerOptions): ControllerProcess {
  const { life, random } = options
  const agents = connect(options)
  let engine: Engine | undefined
  startEngine({
    store: bindStore(options.store, life, random.fork('store')),
    clock: life.clock,
    logger: options.logger,
    randomBytes: (count) => random.bytes(count),
    agents,
    fences: options.fences,
    // Nobody tells it of its end: a killed process does nothing more.
    signal: new AbortController().signal,
    moreSagas: (leader, tasks, epochs) => [
      cloneVmSaga(leader, agents, tasks),
      warmTemplateSaga(leader, agents, tasks),
      cloneDisksSaga(leader, tasks, epochs),
      cloneSetSaga(leader, tasks),
      applyServiceSaga(leader, tasks),
      deleteServiceSaga(leader, tasks),
    ],
  }).then((started) => {
    engine = started
  }, options.broke)
  return { life, agents, engine: () => engine }
}

/** A controller's certificate. */
const asController: ApiCaller = { name: 'controller/main', role: 'host' }

/** The product's own table of calls, over simulated lines, in the form that the contract gives them. */
function connect({ life, network, calleeOf }: ControllerOptions): AgentConnections {
  const caller = { place: controllerPlace, life, network }
  const client: AgentConnections['client'] = (host) => ({
    async call(name, input, limits) {
      const route = agentContract[name]
      const question = questionOf(input)
      const answer = await callOverNetwork(caller, calleeOf(host), {
        what: name,
        timeoutMs: limits?.timeoutMs ?? 10_000,
        connectTimeoutMs,
        ask: async (service) => askAgent(service, name, readInput(route, question, 'ignore')),
      })
      return readAnswer(route, answer)
    },
    events: () => refuse('events'),
    download: () => refuse('download'),
    // Streams of bytes have no delay of their own in a simulated network.
    async upgrade(name, input) {
      const service = calleeOf(host).listening()?.service
      if (service === undefined) throw new DialtoneError('host-unreachable', `${host.name} does not answer`)
      const stream = await askAgent(service, name, readInput(agentContract[name], questionOf(input), 'ignore'))
      return stream instanceof Duplex ? stream : refuse(name)
    },
    close: async () => undefined,
  })
  return { client, ...callAgents(client), knock: knocker(caller, calleeOf), close: async () => undefined }
}

function questionOf(input: unknown): RawInput {
  const parts = typeof input === 'object' && input !== null ? copyOf(input) : {}
  return { params: undefined, query: undefined, body: undefined, ...parts }
}

function refuse(what: string): never {
  throw new DialtoneError('invalid-input', `there is no ${what} in a simulated world`)
}

/** What the agent's server does with a request that has come in. */
async function askAgent(service: AgentService, name: string, input: RawInput): Promise<unknown> {
  const handler: unknown = Reflect.get(service.handlers, name)
  if (typeof handler !== 'function') throw new DialtoneError('not-found', `agents don't know ${name}`)
  const scope = { signal: new AbortController().signal, after: undefined }
  return Reflect.apply(handler, service.handlers, [input, asController, scope])
}

function knocker({ place, life, network }: Caller, calleeOf: ControllerOptions['calleeOf']): AgentPort['knock'] {
  return async (host, timeoutMs) => {
    const callee = calleeOf(host)
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const answer = { arrive: () => life.enter(() => resolve(true)) }
    network.send(place, callee.place, {
      arrive: () => {
        if (callee.isOn() && !callee.isStanding()) network.send(callee.place, place, answer)
      },
    })
    const timer = new AbortController()
    const late = life.clock.sleep(timeoutMs, timer.signal).then(() => false)
    const isAnswered = await Promise.race([promise, late])
    timer.abort()
    return isAnswered
  }
}
