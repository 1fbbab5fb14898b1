/**
 * The watchdog process of a host: pets the hardware watchdog only while every machine that a lease may kill has a licence, or none of
 * them is running. It kills unlicensed machines by itself, so that an agent that is stuck costs leased machines and not the host.
 */
import type { Clock } from '../../model/clock.ts'
import type { Logger } from '../../model/logger.ts'
import { defaultTimings, type Timings } from '../../model/timings.ts'
import type { HardwareWatchdog } from './hardware-watchdog.ts'
import type { HostMachines } from './host-machines.ts'
import { judgeMachines } from './judge-machines.ts'
import type { WatchdogAnswer, WatchdogState } from './watchdog-message.ts'

export type HostGuard = {
  /** The agent's newest word. */
  update(state: WatchdogState): void
  /** One look at everything: kills what must die and pets the hardware if it may. To be called every `watchdogPetMs`. */
  look(): void
  timings(): Timings
  /** How this host is armed. */
  armed(): WatchdogAnswer['armed']
}

export type HostGuardOptions = {
  readonly clock: Clock
  readonly logger: Logger
  readonly hardware: HardwareWatchdog | undefined
  readonly machines: HostMachines
  /** SIGKILL to an agent that is stalled; it may be gone already. */
  killAgent(pid: number): void
}

/** Everything here is synchronous: it must not wait for anybody. */
export function createHostGuard(options: HostGuardOptions): HostGuard {
  const { hardware } = options
  let state: WatchdogState | undefined
  let lastWordAtMs = options.clock.bootTimeMs()
  let killedAgentPid: number | undefined
  /** Those that a kill was told of and that are still there. */
  let dying: readonly string[] = []
  const timings = () => state?.timings ?? defaultTimings

  /** After a restart nobody knows what runs by which licence, until the agent has spoken. */
  const lookBeforeFirstWord = () => {
    if (!options.machines.holdsAny()) hardware?.pet()
  }

  const restartStalledAgent = (pid: number) => {
    if (killedAgentPid === pid) return
    killedAgentPid = pid
    options.logger.warn('watchdog.agent-stalled', { pid })
    options.killAgent(pid)
  }

  return {
    update(next) {
      state = next
      lastWordAtMs = options.clock.bootTimeMs()
      killedAgentPid = undefined
    },
    timings,
    // A reset that comes later than W, or that can be called off, is none that a proof may count on.
    armed: () => (hardware?.isFinal === true && hardware.timeoutMs <= timings().watchdogMs ? 'hard' : 'none'),
    look() {
      if (state === undefined) return lookBeforeFirstWord()
      const verdict = judgeMachines(state, { nowMs: options.clock.bootTimeMs(), lastWordAtMs })
      const alive = verdict.unlicensed.filter((machine) => killNow(machine, dying, options)).map(({ vmId }) => vmId)
      if (alive.length === 0) hardware?.pet()
      else if (alive.some((vmId) => !dying.includes(vmId))) options.logger.warn('watchdog.not-petted', { vmIds: alive })
      dying = alive
      if (verdict.agentIsStalled) restartStalledAgent(state.agentPid)
    },
  }
}

/** True when something of it is still there. It is tried at every look, and told once. */
function killNow(
  { vmId, cgroupDirectory }: WatchdogState['machines'][number],
  dying: readonly string[],
  { machines, logger }: Pick<HostGuardOptions, 'machines' | 'logger'>,
): boolean {
  if (!machines.isPopulated(cgroupDirectory)) return false
  if (!dying.includes(vmId)) logger.warn('watchdog.kills', { vmId })
  machines.kill(cgroupDirectory)
  return machines.isPopulated(cgroupDirectory)
}
