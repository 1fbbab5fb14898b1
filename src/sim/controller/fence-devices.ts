/** The devices that switch simulated hosts off and on, as the product's runner of fence agents sees them: "off" counts when it was read back. */
import type { FencePort } from '../../engine/agent-port.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostSpec } from '../../model/host.ts'
import type { SimulatedHost } from '../host/simulated-host.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { ProcessLife } from '../time/process-life.ts'
import type { WorldTime } from '../time/world-time.ts'

/**
 * `lies`: it says that it has switched the host off, and hasn't; its state tells the truth. `hangs`: it answers nothing. `fails`: it says no.
 */
export type FenceBehaviour = 'works' | 'lies' | 'hangs' | 'fails'

export type FenceDevices = {
  /** As the controller that lives this life uses them. */
  portFor(life: ProcessLife): FencePort
  setBehaviour(hostName: string, behaviour: FenceBehaviour): void
}

/** As `src/controller/run-fence-agent.ts`. */
const actionTimeoutMs = 30_000
const actionTakesMs = [100, 900] as const

export function createFenceDevices(options: {
  readonly time: WorldTime
  readonly random: SeededRandom
  host(name: string): SimulatedHost | undefined
}): FenceDevices {
  const behaviours = new Map<string, FenceBehaviour>()
  const { random } = options

  const act = async (spec: HostSpec, life: ProcessLife, work: (host: SimulatedHost) => void): Promise<void> => {
    const behaviour = behaviours.get(spec.name) ?? 'works'
    const host = options.host(spec.name)
    if (behaviour === 'hangs') await life.clock.sleep(actionTimeoutMs)
    else {
      const { promise, resolve } = Promise.withResolvers<void>()
      options.time.after(random.between(...actionTakesMs), () => {
        if (behaviour === 'works' && host !== undefined) work(host)
        resolve()
      })
      await life.gate(promise)
    }
    if (host === undefined || behaviour === 'hangs' || behaviour === 'fails')
      throw new DialtoneError('machine-setup', `the fence device of ${spec.name} ${behaviour}`)
  }

  return {
    setBehaviour: (hostName, behaviour) => void behaviours.set(hostName, behaviour),
    portFor: (life) => ({
      async switchOff(spec) {
        if (spec.fence === null) throw new DialtoneError('invalid-input', `${spec.name} has no power fence`)
        await act(spec, life, (host) => host.powerOff('switched off by its fence device'))
        let isOff = false
        await act(spec, life, () => undefined)
        isOff = options.host(spec.name)?.boot() === undefined
        if (!isOff) throw new DialtoneError('machine-setup', `the fence device says that ${spec.name} is still on`)
      },
      switchOn: (spec) => act(spec, life, (host) => host.powerOn()),
    }),
  }
}
