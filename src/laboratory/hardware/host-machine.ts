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

export function createHostMachine(options: HostMachineOptions): HostMachine {
  const { host, watchdog } = options
  let power = options.initially.power
  let isCut = options.initially.isCut
  let phase: HostPhase = 'off'
  let bootId: string | null = null
  let selfTest: NodeJS.Timeout | undefined
  let queue: Promise<unknown> = Promise.resolve()

  const journal = (event: JournalEvent, cause?: string) =>
    options.journal(cause === undefined ? { event, host } : { event, host, cause })
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const turn = queue.then(step, step)
    queue = turn.catch(() => undefined)
    return turn
  }
  const setPort = (isUp: boolean) => writeFile(options.portFlags, isUp ? portUp : portDown)

  const losePower = async (cause: string) => {
    phase = 'dying'
    bootId = null
    watchdog.powerLost()
    await Promise.race([setPort(false).catch(() => undefined), delay(linkDownBoundMs)])
    killNow(options.cgroupDirectory)
    journal('link-down', cause)
    journal('killed', cause)
    await untilEmpty(options.cgroupDirectory, () => journal('not-dead-yet', cause))
    journal('dead', cause)
    // Nobody has to wait for that. A boot that comes first removes what is left by itself.
    void inTurn(tearDownUnlessRunning)
  }
  const tearDownUnlessRunning = async () => {
    if (phase === 'running') return
    await options.tearDown().catch((error: unknown) => journal('tear-down-failed', messageOf(error)))
  }

  const boot = async () => {
    phase = 'booting'
    try {
      bootId = await options.boot()
      await setPort(!isCut)
      phase = 'running'
      journal('booted')
    } catch (error) {
      phase = 'failed'
      journal('boot-failed', messageOf(error))
      throw error
    }
  }

  const beginSelfTest = () => {
    phase = 'self-test'
    journal('self-test')
    clearTimeout(selfTest)
    // What goes wrong is in the journal and in the phase.
    selfTest = setTimeout(() => void inTurn(bootAfterSelfTest).catch(() => undefined), options.postDelayMs)
  }
  const bootAfterSelfTest = async () => {
    if (power === 'on' && phase === 'self-test') await boot()
  }

  return {
    resume: () =>
      inTurn(async () => {
        const isRunning = !(await isCgroupEmpty(options.cgroupDirectory))
        if (power === 'off') {
          if (isRunning) await losePower('it was switched off')
          phase = 'off'
          return
        }
        if (!isRunning) return beginSelfTest()
        phase = 'running'
        bootId = await options.readBootId()
        await setPort(!isCut)
        if (options.initially.armedMs !== null) watchdog.resume(options.initially.armedMs, reconnectGraceMs)
      }),
    on: (cause, skipSelfTest) =>
      inTurn(async () => {
        if (power === 'on' && phase !== 'failed') return
        power = 'on'
        journal('power-on', cause)
        await options.saveState()
        if (skipSelfTest) await boot()
        else beginSelfTest()
      }),
    off: (cause) =>
      inTurn(async () => {
        clearTimeout(selfTest)
        power = 'off'
        journal('power-off', cause)
        const saved = options.saveState()
        if (phase !== 'off') await losePower(cause)
        phase = 'off'
        await saved
      }),
    reset: (cause) =>
      inTurn(async () => {
        if (power === 'off') throw new DialtoneError('wrong-state', `${host} is switched off: it cannot be reset`)
        clearTimeout(selfTest)
        journal('reset', cause)
        await losePower(cause)
        await options.saveState()
        beginSelfTest()
      }),
    setCut: async (cut, cause) => {
      isCut = cut
      if (phase === 'running') await setPort(!cut)
      journal(cut ? 'cut' : 'heal', cause)
      await options.saveState()
    },
    status: () => ({
      host,
      power,
      phase,
      link: isCut ? 'cut' : 'up',
      armedMs: watchdog.armedMs(),
      silentMs: watchdog.silentMs(),
      bootId,
    }),
    state: () => ({ power, isCut, armedMs: watchdog.armedMs() }),
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
