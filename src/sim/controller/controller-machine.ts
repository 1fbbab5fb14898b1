/** Where the controller of a simulated world runs: its store outlives it, and its supervisor starts it anew. */
import type { AgentConnections } from '../../controller/agent-connections.ts'
import type { Engine } from '../../engine/engine.ts'
import {
  type Acknowledgement,
  acknowledgementSchema,
  type Heartbeat,
  heartbeatSchema,
} from '../../model/agent-protocol/heartbeat.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import { type Callee, copyOf } from '../net/call.ts'
import type { SeededRandom } from '../seeded-random.ts'
import { createProcessLife, type ProcessLife } from '../time/process-life.ts'
import type { WorldTime } from '../time/world-time.ts'
import {
  type ControllerOptions,
  type ControllerProcess,
  controllerPlace,
  startController,
} from './controller-process.ts'
import type { KeptStore } from './kept-store.ts'

/** What the controller does with what agents send it. */
export type ControllerService = { receiveHeartbeat(hostId: HostId, heartbeat: Heartbeat): Promise<Acknowledgement> }

export type ControllerMachine = {
  readonly callee: Callee<ControllerService>
  /** Undefined until the first one leads, and while none does. */
  engine(): Engine | undefined
  process(): ControllerProcess | undefined
  start(): void
  /** Ends it without a word; its supervisor starts another. */
  kill(): void
  /** Ends it, and none is started until `start`. */
  takeAway(): void
  /** The state of so long ago comes back, as from a backup, and the next controller starts on it. */
  goBack(byMs: number): Promise<void>
}

export type ControllerMachineOptions = {
  readonly time: WorldTime
  readonly random: SeededRandom
  readonly logger: Logger
  readonly store: KeptStore
  readonly checksHeartbeats: boolean
  fencesFor(life: ProcessLife): ControllerOptions['fences']
} & Pick<ControllerOptions, 'network' | 'calleeOf'>

const supervisorTakesMs = [200, 1_200] as const

export function createControllerMachine(options: ControllerMachineOptions): ControllerMachine {
  const { time, random, logger } = options
  let present: ControllerProcess | undefined
  let starts = 0
  let isTakenAway = false

  const machine: ControllerMachine = {
    callee: {
      place: controllerPlace,
      isOn: () => true,
      isStanding: () => false,
      boot: () => 1,
      listening() {
        const engine = present?.engine()
        if (present === undefined || engine === undefined) return undefined
        return { life: present.life, service: serviceOf(engine, options.checksHeartbeats) }
      },
    },
    engine: () => present?.engine(),
    process: () => present,
    start() {
      isTakenAway = false
      if (present !== undefined) return
      starts += 1
      const life = createProcessLife(controllerPlace, time, { rate: 1, bootedAtMs: -1_000_000, wallOffsetMs: () => 0 })
      present = startController({
        ...options,
        life,
        store: options.store.present(),
        random: random.fork(`controller ${starts}`),
        fences: options.fencesFor(life),
        broke(error) {
          logger.error('controller.broke', { error })
          machine.kill()
        },
      })
    },
    kill() {
      if (present === undefined) return
      present.life.kill()
      present = undefined
      logger.warn('controller.ended', {})
      const [least, most] = supervisorTakesMs
      time.after(random.between(least, most), () => {
        if (present === undefined && !isTakenAway) machine.start()
      })
    },
    takeAway() {
      isTakenAway = true
      machine.kill()
    },
    goBack(byMs) {
      machine.kill()
      return options.store.goBack(byMs)
    },
  }
  return machine
}

function serviceOf(engine: Engine, isChecked: boolean): ControllerService {
  return {
    async receiveHeartbeat(hostId, heartbeat) {
      const heard = isChecked ? heartbeatSchema.parse(heartbeat) : heartbeat
      const answer = await engine.receiveHeartbeat(hostId, heard)
      return isChecked ? acknowledgementSchema.parse(copyOf(answer)) : answer
    },
  }
}

/** Throws what a caller of the API is told while no controller answers. */
export function requireController(machine: ControllerMachine): {
  readonly engine: Engine
  readonly agents: AgentConnections
} {
  const process = machine.process()
  const engine = machine.engine()
  if (process === undefined || engine === undefined || process.life.state() !== 'running')
    throw new DialtoneError('host-unreachable', 'no controller answers')
  return { engine, agents: process.agents }
}
