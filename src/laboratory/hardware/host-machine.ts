/**
 * One host's hardware: power switch, reset button, network cable, watchdog. A loss of power first takes the link down, so that no last
 * packet says farewell, and then kills everything in the host's cgroup.
 */
import { writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isCgroupEmpty } from '../../linux/cgroup.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostPhase, HostPowerStatus } from './control-message.ts'
import type { EmulatedWatchdog } from './emulated-watchdog.ts'
import type { Journal, JournalEvent } from './journal.ts'
import type { HostPower } from './power-state.ts'

export type HostMachineOptions = {
  readonly host: string
  readonly cgroupDirectory: string
  /** The file whose value switches the host's port on the fabric. */
  readonly portFlags: string
  readonly postDelayMs: number
  readonly initially: HostPower
  readonly watchdog: EmulatedWatchdog
  readonly journal: Journal
  /** Makes what a powered host has (namespaces, cgroups) and starts its first process; resolves with the boot id. */
  readonly boot: () => Promise<string>
  /** Removes what `boot` made. Everything in the cgroup is dead when it is called. */
  readonly tearDown: () => Promise<void>
  readonly readBootId: () => Promise<string | null>
  readonly saveState: () => Promise<void>
}

export type HostMachine = {
  /** To be called once, first: takes up what an earlier process of the hardware left. */
  resume(): Promise<void>
  /** Answers when the self test has begun, or, skipping it, when the host's first process runs. */
  on(cause: string, skipSelfTest: boolean): Promise<void>
  /** Answers when every process is dead. */
  off(cause: string): Promise<void>
  /** Answers when every process is dead; the self test follows. */
  reset(cause: string): Promise<void>
  setCut(isCut: boolean, cause: string): Promise<void>
  status(): HostPowerStatus
  state(): HostPower
}

/** For a restart of the hardware: how long a watchdog's client may take to connect again. */
const reconnectGraceMs = 2000
/** A port that doesn't go down within that doesn't hold up the kill. */
const linkDownBoundMs = 10
const portUp = '0x1003'
const portDown = '0x1002'

/** What changes about it. Everything that takes time is a turn in one queue; only the cable is pulled out of turn. */
type Machine = {
  readonly options: HostMachineOptions
  readonly journal: (event: JournalEvent, cause?: string) => void
  readonly inTurn: <T>(step: () => Promise<T>) => Promise<T>
  power: HostPower['power']
  isCut: boolean
  phase: HostPhase
  bootId: string | null
  selfTest: NodeJS.Timeout | undefined
}

export function createHostMachine(options: HostMachineOptions): HostMachine {
  const { host, watchdog } = options
  const machine: Machine = {
    options,
    journal: (event, cause) => options.journal(cause === undefined ? { event, host } : { event, host, cause }),
    inTurn: createQueue(),
    power: options.initially.power,
    isCut: options.initially.isCut,
    phase: 'off',
    bootId: null,
    selfTest: undefined,
  }
  return {
    resume: () => machine.inTurn(() => resume(machine)),
    on: (cause, skipSelfTest) => machine.inTurn(() => switchOn(machine, cause, skipSelfTest)),
    off: (cause) => machine.inTurn(() => switchOff(machine, cause)),
    reset: (cause) => machine.inTurn(() => reset(machine, cause)),
    setCut: async (isCut, cause) => {
      machine.isCut = isCut
      if (machine.phase === 'running') await setPort(options, !isCut)
      machine.journal(isCut ? 'cut' : 'heal', cause)
      await options.saveState()
    },
    status: () => ({
      host,
      power: machine.power,
      phase: machine.phase,
      link: machine.isCut ? 'cut' : 'up',
      armedMs: watchdog.armedMs(),
      silentMs: watchdog.silentMs(),
      bootId: machine.bootId,
    }),
    state: () => ({ power: machine.power, isCut: machine.isCut, armedMs: watchdog.armedMs() }),
  }
}

async function resume(machine: Machine): Promise<void> {
  const { options } = machine
  const isRunning = !(await isCgroupEmpty(options.cgroupDirectory))
  if (machine.power === 'off') {
    if (isRunning) await losePower(machine, 'it was switched off')
    machine.phase = 'off'
    return
  }
  if (!isRunning) return beginSelfTest(machine)
  machine.phase = 'running'
  machine.bootId = await options.readBootId()
  await setPort(options, !machine.isCut)
  const { armedMs } = options.initially
  if (armedMs !== null) options.watchdog.resume(armedMs, reconnectGraceMs)
}

async function switchOn(machine: Machine, cause: string, skipSelfTest: boolean): Promise<void> {
  if (machine.power === 'on' && machine.phase !== 'failed') return
  machine.power = 'on'
  machine.journal('power-on', cause)
  await machine.options.saveState()
  if (skipSelfTest) await boot(machine)
  else beginSelfTest(machine)
}

async function switchOff(machine: Machine, cause: string): Promise<void> {
  clearTimeout(machine.selfTest)
  machine.power = 'off'
  machine.journal('power-off', cause)
  const saved = machine.options.saveState()
  if (machine.phase !== 'off') await losePower(machine, cause)
  machine.phase = 'off'
  await saved
}

async function reset(machine: Machine, cause: string): Promise<void> {
  const { host, saveState } = machine.options
  if (machine.power === 'off') throw new DialtoneError('wrong-state', `${host} is switched off: it cannot be reset`)
  clearTimeout(machine.selfTest)
  machine.journal('reset', cause)
  await losePower(machine, cause)
  await saveState()
  beginSelfTest(machine)
}

async function losePower(machine: Machine, cause: string): Promise<void> {
  const { options, journal } = machine
  machine.phase = 'dying'
  machine.bootId = null
  options.watchdog.powerLost()
  await Promise.race([setPort(options, false).catch(() => undefined), delay(linkDownBoundMs)])
  killNow(options.cgroupDirectory)
  journal('link-down', cause)
  journal('killed', cause)
  await untilEmpty(options.cgroupDirectory, () => journal('not-dead-yet', cause))
  journal('dead', cause)
  // Nobody has to wait for that. A boot that comes first removes what is left by itself.
  void machine.inTurn(async () => {
    if (machine.phase === 'running') return
    await options.tearDown().catch((error: unknown) => journal('tear-down-failed', messageOf(error)))
  })
}

function beginSelfTest(machine: Machine): void {
  machine.phase = 'self-test'
  machine.journal('self-test')
  clearTimeout(machine.selfTest)
  const bootAfterwards = async () => {
    if (machine.power === 'on' && machine.phase === 'self-test') await boot(machine)
  }
  // What goes wrong is in the journal and in the phase.
  const onEnd = () => void machine.inTurn(bootAfterwards).catch(() => undefined)
  machine.selfTest = setTimeout(onEnd, machine.options.postDelayMs)
}

async function boot(machine: Machine): Promise<void> {
  const { options, journal } = machine
  machine.phase = 'booting'
  try {
    machine.bootId = await options.boot()
    await setPort(options, !machine.isCut)
    machine.phase = 'running'
    journal('booted')
  } catch (error) {
    machine.phase = 'failed'
    journal('boot-failed', messageOf(error))
    throw error
  }
}

function setPort({ portFlags }: HostMachineOptions, isUp: boolean): Promise<void> {
  return writeFile(portFlags, isUp ? portUp : portDown)
}

function createQueue(): Machine['inTurn'] {
  let last: Promise<unknown> = Promise.resolve()
  return (step) => {
    const turn = last.then(step, step)
    last = turn.catch(() => undefined)
    return turn
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Synchronous: the kill has the priority of this process, which the threads behind asynchronous writes may not have. */
function killNow(cgroupDirectory: string): void {
  try {
    writeFileSync(join(cgroupDirectory, 'cgroup.kill'), '1')
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENODEV')
    if (!isMissing) throw error
  }
}

/** Waits as long as it takes: a host must not boot beside its own dead that are still writing. */
async function untilEmpty(cgroupDirectory: string, onSlow: () => void): Promise<void> {
  const slowAt = performance.now() + 1000
  let isReported = false
  while (!(await isCgroupEmpty(cgroupDirectory))) {
    await delay(2)
    killNow(cgroupDirectory)
    if (isReported || performance.now() < slowAt) continue
    isReported = true
    onSlow()
  }
}
