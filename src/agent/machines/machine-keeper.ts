/**
 * The life of one machine on this host: started by order, restarted on the spot when its process dies, frozen and killed by its licence,
 * stopped or released by order. Everything that changes it goes through one queue, so no two changes overlap.
 */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { VmId } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import { restartDelayMs } from '../../model/protection/restart-delay.ts'
import type { MachinePhase, MachineReport } from '../../model/vm.ts'
import type { MachineExit, RunningMachine } from '../hypervisor/hypervisor.ts'
import { cardOf, launchMachine, sharedStoragesOf } from './launch-machine.ts'
import type { MachinePorts } from './machine-ports.ts'
import type { MachineRecord } from './machine-record.ts'

/** How long a restart on the spot waits for a licence before it looks again. */
const licenceRetryMs = 100

export type MachineKeeper = {
  report(): MachineReport
  record(): MachineRecord
  /** The newest epoch it was ordered to start under, from the moment of the order on. */
  epoch(): number
  /** True when it was released and nothing has ordered it since. */
  isReleased(): boolean
  /** A start under this epoch was ordered. Answers at once; the report tells how it goes. */
  start(machine: MachineOrder, epoch: number): void
  /** Takes over a process that an earlier agent started. */
  adopt(running: RunningMachine): Promise<void>
  /** Starts it again under the next incarnation: its process died while no agent was there. */
  restartOnTheSpot(): void
  shutDown(): Promise<void>
  /** Kills it and forgets it durably; resolves when it is reaped and nothing of it is left here. */
  release(detail: string): Promise<void>
  pause(): Promise<void>
  resume(): Promise<void>
  reset(): Promise<void>
  running(): RunningMachine | undefined
  /** Looks at its licence and freezes, thaws or kills it. */
  applyLicence(): Promise<void>
  detach(): void
}

export function createMachineKeeper(initial: MachineRecord, ports: MachinePorts): MachineKeeper {
  const vmId: VmId = initial.machine.vmId
  let record = initial
  let phase: MachinePhase = 'stopped'
  let detail = ''
  let guestShutdown = false
  let running: RunningMachine | undefined
  let crashTimesMs: number[] = []
  let crashes = 0
  let queue: Promise<unknown> = Promise.resolve()
  let isReleased = false
  let orderedEpoch = initial.epoch
  let isChangingLicence = false

  const enqueue = <T>(work: () => Promise<T>): Promise<T> => {
    const result = queue.then(work, work)
    queue = result.catch(() => undefined)
    return result
  }

  const become = (next: MachinePhase, why: string) => {
    if (phase === next && detail === why) return
    ports.logger.info('machine.phase', {
      vmId,
      name: record.machine.name,
      epoch: record.epoch,
      incarnation: record.incarnation,
      from: phase,
      to: next,
      detail: why,
    })
    phase = next
    detail = why
    ports.reportSoon()
  }

  const write = async (changes: Partial<MachineRecord>) => {
    record = { ...record, ...changes }
    if (!isReleased) await ports.records.write(record)
  }

  const tidyAfterDeath = async () => {
    running?.detach()
    running = undefined
    await ports.cgroups.kill(vmId, 10_000)
    await ports.network.disconnect({ vmId, tapName: cardOf(record.machine).tapName })
    await ports.cgroups.remove(vmId)
    ports.licences.unguard(vmId)
  }

  const launch = async (needsConfirmation: boolean) => {
    const { epoch, incarnation, machine } = record
    const isCancelled = () => isReleased || orderedEpoch !== epoch || record.wanted === 'stopped'
    try {
      const started = await launchMachine(
        { machine, life: { vmId, epoch, incarnation }, needsConfirmation, isCancelled },
        ports,
      )
      running = started
      watchExit(started)
      await write({ confirmed: true })
      become('running', '')
    } catch (error) {
      await tidyAfterDeath()
      if (error instanceof DialtoneError && error.code === 'licence-lost' && !needsConfirmation)
        return retryWithLicence()
      become('failed', error instanceof Error ? error.message : String(error))
      ports.logger.warn('machine.start-failed', { vmId, epoch, error })
    }
  }

  const retryWithLicence = () => {
    become('restarting', 'waits for a licence: the lease has run out and a slot has a pill or cannot be read')
    const { epoch } = record
    void ports.clock.sleep(licenceRetryMs).then(() =>
      enqueue(async () => {
        if (!isReleased && orderedEpoch === epoch && record.wanted === 'running' && running === undefined)
          await launch(false)
      }),
    )
  }

  const watchExit = (machine: RunningMachine) => {
    machine.onEvent((event) => {
      if (machine !== running) return
      if (event.kind === 'guest-panicked') ports.logger.warn('machine.guest-panicked', { vmId })
    })
    void machine.exited.then((exit) => enqueue(() => afterExit(machine, exit)))
  }

  const afterExit = async (machine: RunningMachine, exit: MachineExit) => {
    if (machine !== running || isReleased) return
    ports.logger.warn('machine.exited', { vmId, name: record.machine.name, reason: exit.reason, detail: exit.detail })
    if (record.wanted === 'stopped' || exit.reason === 'guest-shutdown') {
      guestShutdown = exit.reason === 'guest-shutdown'
      await tidyAfterDeath()
      await write({ wanted: 'stopped' })
      return become('stopped', exit.detail)
    }
    running.detach()
    running = undefined
    await crashed(exit.detail)
  }

  const crashed = async (why: string) => {
    const nowMs = ports.clock.bootTimeMs()
    crashTimesMs = [...crashTimesMs, nowMs].slice(-20)
    crashes += 1
    const waitMs = restartDelayMs(crashTimesMs, nowMs)
    if (waitMs === null) {
      await tidyAfterDeath()
      return become('failed', `its process died ${crashTimesMs.length} times within minutes; the last time: ${why}`)
    }
    become('restarting', `its process died (${why}); restarts here in ${waitMs} ms`)
    const { epoch } = record
    if (waitMs === 0) return restart(epoch)
    void ports.clock.sleep(waitMs).then(() => enqueue(() => restart(epoch)))
  }

  /** Under an unchanged placement only: an order that came in between has taken over. */
  const restart = async (epoch: number) => {
    if (isReleased || orderedEpoch !== epoch || record.wanted === 'stopped' || running !== undefined) return
    await ports.cgroups.kill(vmId, 10_000)
    await write({ incarnation: record.incarnation + 1 })
    await launch(false)
  }

  const setFrozen = async (machine: RunningMachine, isFrozen: boolean) => {
    const entry = {
      storageIds: sharedStoragesOf(record.machine, ports),
      cgroupDirectory: ports.cgroups.directory(vmId),
    }
    if (isFrozen) {
      await machine.pause()
      await ports.licences.guard(vmId, { ...entry, isFrozen: true })
      become(
        'frozen',
        'the lease has run out and a slot cannot be read: its vCPUs stand still until one of them is back',
      )
    } else {
      // The watchdog hears first: from here on the machine needs its licence again.
      await ports.licences.guard(vmId, { ...entry, isFrozen: false })
      await machine.resume()
      become('running', '')
    }
  }

  const release = (why: string) => {
    isReleased = true
    return enqueue(async () => {
      if (running !== undefined) await running.kill(10_000)
      await tidyAfterDeath()
      await ports.records.remove(vmId)
      become('stopped', why)
    })
  }

  const applyLicence = async () => {
    if (!record.machine.leased || running === undefined || isReleased) return
    const verdict = ports.licences.judge(sharedStoragesOf(record.machine, ports), ports.clock.bootTimeMs())
    if (verdict.kind === 'kill') return release(verdict.reason)
    if (verdict.kind === 'freeze' && phase === 'running')
      return enqueue(() => whenStill('running', (machine) => setFrozen(machine, true)))
    if (verdict.kind === 'licensed' && phase === 'frozen')
      return enqueue(() => whenStill('frozen', (machine) => setFrozen(machine, false)))
  }

  const whenStill = async (expected: MachinePhase, work: (machine: RunningMachine) => Promise<void>) => {
    if (running !== undefined && phase === expected && !isReleased) await work(running)
  }

  const ordered = async (machine: MachineOrder, epoch: number) => {
    if (running !== undefined) await running.kill(10_000)
    await tidyAfterDeath()
    crashTimesMs = []
    crashes = 0
    guestShutdown = false
    await write({ machine, epoch, incarnation: 0, confirmed: false, wanted: 'running' })
    await launch(true)
  }

  return {
    report: () => ({
      vmId,
      epoch: orderedEpoch,
      incarnation: record.incarnation,
      phase,
      pid: running?.pid ?? null,
      detail,
      guestShutdown,
      leased: record.machine.leased,
      crashes,
    }),
    record: () => record,
    epoch: () => orderedEpoch,
    isReleased: () => isReleased,
    running: () => running,
    start(machine, epoch) {
      orderedEpoch = epoch
      isReleased = false
      become('starting', 'ordered')
      void enqueue(() => ordered(machine, epoch)).catch((error: unknown) => {
        become('failed', error instanceof Error ? error.message : String(error))
        ports.logger.error('machine.start-broke', { vmId, error })
      })
    },
    adopt: (machine) =>
      enqueue(async () => {
        running = machine
        if (record.machine.leased) {
          const entry = {
            storageIds: sharedStoragesOf(record.machine, ports),
            isFrozen: false,
            cgroupDirectory: ports.cgroups.directory(vmId),
          }
          await ports.licences.guard(vmId, entry)
        }
        watchExit(machine)
        const state = await machine.state()
        become(record.wanted === 'stopped' ? 'stopping' : state === 'paused' ? 'paused' : 'running', 're-adopted')
      }),
    restartOnTheSpot() {
      void enqueue(() => crashed('it was dead when the agent came back'))
    },
    async shutDown() {
      await enqueue(async () => {
        await write({ wanted: 'stopped' })
        if (running === undefined) return become('stopped', 'stopped by order')
        if (phase === 'paused') await running.resume()
        await running.pressPowerButton()
        become('stopping', 'its power button was pressed')
      })
    },
    release,
    pause: () =>
      enqueue(() =>
        whenStill('running', async (machine) => {
          await machine.pause()
          become('paused', 'paused by order')
        }),
      ),
    resume: () =>
      enqueue(() =>
        whenStill('paused', async (machine) => {
          await machine.resume()
          become('running', '')
        }),
      ),
    reset: () =>
      enqueue(async () => {
        if (running === undefined)
          throw new DialtoneError('wrong-state', `${record.machine.name} has no process here that could be reset`)
        await running.reset()
      }),
    async applyLicence() {
      if (isChangingLicence) return
      isChangingLicence = true
      try {
        await applyLicence()
      } finally {
        isChangingLicence = false
      }
    },
    detach: () => running?.detach(),
  }
}
