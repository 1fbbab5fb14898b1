/**
 * The watchdog process of a host: pets the hardware watchdog only while every machine that a lease may kill has a licence, or none of
 * them is running. It kills unlicensed machines by itself, so that an agent that is stuck costs leased machines and not the host.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../model/clock.ts'
import type { Logger } from '../../model/logger.ts'
import { defaultTimings, type Timings } from '../../model/timings.ts'
import type { HardwareWatchdog } from './hardware-watchdog.ts'
import { judgeMachines } from './judge-machines.ts'
import type { WatchdogState } from './watchdog-message.ts'

export type HostGuard = {
  /** The agent's newest word. */
  update(state: WatchdogState): void
  /** One look at everything: kills what must die and pets the hardware if it may. To be called every `watchdogPetMs`. */
  look(): void
  timings(): Timings
}

export type HostGuardOptions = {
  readonly clock: Clock
  readonly logger: Logger
  readonly hardware: Pick<HardwareWatchdog, 'pet'> | undefined
  /** Folder of the machines' cgroups, to know after a restart whether anything runs before the agent has spoken. */
  readonly machinesCgroup: string
}

/** Everything here is synchronous: it must not wait for anybody. */
export function createHostGuard(options: HostGuardOptions): HostGuard {
  let state: WatchdogState | undefined
  let lastWordAtMs = options.clock.bootTimeMs()
  let killedAgentPid: number | undefined

  const lookBeforeFirstWord = () => {
    if (!holdsAnyMachine(options.machinesCgroup)) options.hardware?.pet()
  }

  const restartStalledAgent = (pid: number) => {
    if (killedAgentPid === pid) return
    killedAgentPid = pid
    options.logger.warn('watchdog.agent-stalled', { pid })
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It is gone already, which is what was wanted.
    }
  }

  return {
    update(next) {
      state = next
      lastWordAtMs = options.clock.bootTimeMs()
      killedAgentPid = undefined
    },
    timings: () => state?.timings ?? defaultTimings,
    look() {
      if (state === undefined) return lookBeforeFirstWord()
      const verdict = judgeMachines(state, { nowMs: options.clock.bootTimeMs(), lastWordAtMs })
      const alive = verdict.unlicensed.filter((machine) => killNow(machine, options.logger))
      if (alive.length === 0) options.hardware?.pet()
      else options.logger.warn('watchdog.not-petted', { vmIds: alive.map((machine) => machine.vmId) })
      if (verdict.agentIsStalled) restartStalledAgent(state.agentPid)
    },
  }
}

/** True when something of it is still there. */
function killNow(machine: WatchdogState['machines'][number], logger: Logger): boolean {
  if (!isPopulated(machine.cgroupDirectory)) return false
  logger.warn('watchdog.kills', { vmId: machine.vmId })
  try {
    writeFileSync(join(machine.cgroupDirectory, 'cgroup.kill'), '1')
  } catch {
    // It vanished in between, or it can't be killed: the next look tells.
  }
  return isPopulated(machine.cgroupDirectory)
}

function isPopulated(cgroupDirectory: string): boolean {
  try {
    return readFileSync(join(cgroupDirectory, 'cgroup.events'), 'utf8').includes('populated 1')
  } catch (error) {
    return !isGone(error)
  }
}

function holdsAnyMachine(machinesCgroup: string): boolean {
  try {
    return readdirSync(machinesCgroup, { withFileTypes: true }).some(
      (entry) => entry.isDirectory() && isPopulated(join(machinesCgroup, entry.name)),
    )
  } catch (error) {
    return !isGone(error)
  }
}

/** A cgroup that can't be looked at may hold a machine: only one that isn't there holds none. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENODEV')
}
