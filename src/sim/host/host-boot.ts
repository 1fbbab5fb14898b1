/** What lives on a simulated host from one boot to the next end of power, and the supervisor that starts its two processes anew. */
import type { MemoryImageCache } from '../../agent/memory-images/memory-image-cache.ts'
import type { HostFacts } from '../../model/agent-protocol/heartbeat.ts'
import type { HostCommandReport } from '../../model/host-command.ts'
import { createProcessLife, type MachineClock, type ProcessLife } from '../time/process-life.ts'
import { type AgentProcess, startAgentProcess } from './agent-process.ts'
import { createGuests, type Guests } from './guests.ts'
import type { SimulatedHardwareWatchdog } from './hardware-watchdog.ts'
import type { HostDisk } from './host-disk.ts'
import { createHostKernel, type HostKernel } from './host-kernel.ts'
import type { HostOptions } from './host-options.ts'
import { startWatchdogProcess, type WatchdogProcess } from './watchdog-process.ts'

export type HostBoot = {
  readonly number: number
  readonly kernel: HostKernel
  readonly guests: Guests
  agent(): AgentProcess | undefined
  watchdog(): WatchdogProcess | undefined
  killAgent(): void
  killWatchdog(): void
  /** Nothing runs any more until it goes on. */
  standStill(): void
  goOn(): void
  isStanding(): boolean
  /** Power is gone: everything ends without a word. */
  cut(): void
}

/** What outlives a boot. */
export type HostBody = {
  readonly options: HostOptions
  readonly disk: HostDisk
  readonly images: MemoryImageCache
  readonly hardware: SimulatedHardwareWatchdog | undefined
  wallOffsetMs(): number
  nextPid(): number
}

/** Its watchdog process is there from the beginning, its agent a moment later. */
export function bootHost(number: number, body: HostBody): HostBoot {
  const { options } = body
  const { spec, time, random } = options
  const guests = createGuests({
    ...options,
    hostName: spec.name,
    boot: number,
    random: random.fork(`guests ${number}`),
  })
  const kernel = createHostKernel({ ...guests, time })
  guests.follow(kernel)
  const clock = machineClock(body)
  let isStanding = false
  let isCut = false
  const newLife = (process: string): ProcessLife => {
    const life = createProcessLife(`${spec.name}/${process}`, time, clock)
    if (isStanding) life.stop()
    return life
  }
  const supervisor: Supervisor = { body, isOver: () => isCut }
  const watchdog: Supervised<WatchdogProcess> = supervise(supervisor, 'watchdog', () =>
    startWatchdogProcess({
      life: newLife('watchdog'),
      logger: options.loggerOf('watchdog'),
      hardware: body.hardware,
      machines: kernel.hostMachines,
      killAgent: (pid) => {
        if (agent.present()?.pid === pid) agent.kill()
      },
    }),
  )
  const agent = superviseAgent(supervisor, { number, kernel, newLife, watchdog: watchdog.present })
  const lives = () => [agent.present()?.life, watchdog.present()?.life]
  watchdog.start()
  agent.startLater()
  return {
    number,
    kernel,
    guests,
    agent: agent.present,
    watchdog: watchdog.present,
    killAgent: agent.kill,
    killWatchdog: watchdog.kill,
    standStill() {
      isStanding = true
      for (const life of lives()) life?.stop()
      for (const machine of kernel.living()) guests.standStill(machine)
    },
    goOn() {
      isStanding = false
      for (const life of lives()) life?.goOn()
      for (const machine of kernel.living()) guests.goOn(machine)
    },
    isStanding: () => isStanding,
    cut() {
      isCut = true
      for (const life of lives()) life?.kill()
      guests.cut()
    },
  }
}

function superviseAgent(
  supervisor: Supervisor,
  { number, kernel, newLife, watchdog }: Pick<HostBoot, 'number' | 'kernel' | 'watchdog'> & NewLife,
): Supervised<AgentProcess> {
  const { body } = supervisor
  const { options } = body
  const agent: Supervised<AgentProcess> = supervise(supervisor, 'agent', () => {
    const pid = body.nextPid()
    return startAgentProcess({
      ...options,
      ...body,
      pid,
      bootId: `${number}-of-${options.spec.name}`,
      facts: factsOf(options),
      kernel,
      life: newLife('agent'),
      random: options.random.fork(`agent ${pid}`),
      logger: options.loggerOf('agent'),
      watchdog,
      runCommand: async (runId, command) => runCommand(body, runId, command),
      replaced: () => agent.kill(),
      broke(error) {
        options.loggerOf('host').warn('agent.broke', { error })
        agent.kill()
      },
    })
  })
  return agent
}

type NewLife = { newLife(process: string): ProcessLife }

type Supervised<Process> = {
  present(): Process | undefined
  start(): void
  startLater(): void
  /** SIGKILL; the supervisor starts the next one. */
  kill(): void
}

type Supervisor = { readonly body: HostBody; isOver(): boolean }

const supervisorTakesMs = [80, 400] as const

function supervise<Process extends { readonly life: ProcessLife }>(
  { body, isOver }: Supervisor,
  name: string,
  begin: () => Process,
): Supervised<Process> {
  const { time, random, loggerOf } = body.options
  const [least, most] = supervisorTakesMs
  let present: Process | undefined
  const supervised: Supervised<Process> = {
    present: () => present,
    start() {
      present = begin()
    },
    startLater: () =>
      void time.after(random.between(least, most), () => {
        if (!isOver()) supervised.start()
      }),
    kill() {
      if (present === undefined) return
      present.life.kill()
      present = undefined
      loggerOf('host').warn(`${name}.ended`, {})
      supervised.startLater()
    },
  }
  return supervised
}

function machineClock({ options: { clockRate, time, random }, wallOffsetMs }: HostBody): MachineClock {
  return { rate: clockRate, bootedAtMs: time.nowMs() - random.between(1_000, 9_000), wallOffsetMs }
}

const commandTakesMs = 500

/** An administrator's command: it does nothing, for a moment. */
function runCommand({ disk, options: { time } }: HostBody, runId: string, command: string): HostCommandReport {
  const known = disk.commands.get(runId)
  if (known !== undefined) return known
  const report = { state: 'running', exitCode: null, output: '' } as const
  disk.commands.set(runId, report)
  time.after(commandTakesMs, () => {
    if (disk.commands.get(runId) === report)
      disk.commands.set(runId, { state: 'ended', exitCode: 0, output: `${command} done\n` })
  })
  return report
}

function factsOf({ cpus, memoryMiB }: HostOptions): HostFacts {
  return {
    cpus,
    memoryMiB,
    accelerator: 'tcg',
    qemuVersion: '7.2.22',
    machineType: 'pc-q35-7.2',
    cpuModel: 'qemu64-v1',
    firewall: 'bridge-conntrack',
    firewallDetail: 'nftables on the bridge, which follows connections itself',
    networkFaults: {},
    guestSupport: [],
  }
}
