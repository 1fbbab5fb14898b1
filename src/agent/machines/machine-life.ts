/** Birth and death of a machine's process: ordered starts, restarts on the spot, ends, and the release that forgets it durably. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import { restartDelayMs } from '../../model/protection/restart-delay.ts'
import type { MachineExit, RunningMachine } from '../hypervisor/hypervisor.ts'
import { become, enqueue, type Keeping, reapWithinMs, tidyAfterDeath, writeRecord } from './keeping.ts'
import { launchMachine } from './launch-machine.ts'

/** How long a restart on the spot waits for a licence before it looks again. */
const licenceRetryMs = 100
/** Crashes that are remembered; more than restarts are ever allowed within the memory. */
const rememberedCrashes = 20

/** An ordered start: the older life is reaped first, the order is written down, then it is launched. */
export async function startByOrder(keeping: Keeping, machine: MachineOrder, epoch: number): Promise<void> {
  if (keeping.running !== undefined) await keeping.running.kill(reapWithinMs)
  await tidyAfterDeath(keeping)
  keeping.crashTimesMs = []
  keeping.crashes = 0
  keeping.guestShutdown = false
  await writeRecord(keeping, { machine, epoch, incarnation: 0, confirmed: false, wanted: 'running' })
  await launch(keeping, true)
}

/** Follows a process to its end and does then what has to be done. */
export function followToItsEnd(keeping: Keeping, machine: RunningMachine): void {
  machine.onEvent((event) => {
    if (machine === keeping.running && event.kind === 'guest-panicked')
      keeping.ports.logger.warn('machine.guest-panicked', { vmId: keeping.vmId })
  })
  inBackground(keeping, () => machine.exited.then((exit) => enqueue(keeping, () => afterExit(keeping, machine, exit))))
}

/** Its process is dead though it is wanted: it is restarted here after a pause that grows, until it has died too often. */
export async function afterCrash(keeping: Keeping, why: string): Promise<void> {
  const { ports } = keeping
  const nowMs = ports.clock.bootTimeMs()
  keeping.crashTimesMs = [...keeping.crashTimesMs, nowMs].slice(-rememberedCrashes)
  keeping.crashes += 1
  const waitMs = restartDelayMs(keeping.crashTimesMs, nowMs)
  if (waitMs === null) {
    await tidyAfterDeath(keeping)
    return become(
      keeping,
      'failed',
      `its process died ${keeping.crashTimesMs.length} times within minutes; the last time: ${why}`,
    )
  }
  become(keeping, 'restarting', `its process died (${why}); restarts here in ${waitMs} ms`)
  // Of the life that died, not of an order that came in meanwhile: that one starts by itself, and only with the leader's word.
  const { epoch } = keeping.record
  if (waitMs === 0) return restart(keeping, epoch)
  inBackground(keeping, () => ports.clock.sleep(waitMs).then(() => enqueue(keeping, () => restart(keeping, epoch))))
}

/**
 * Kills it and forgets it durably; when this resolves, it is reaped and no agent of this host starts it by itself. One that is asked for
 * while another is under way is the same one: nothing of it may come after the first has answered and touch a later life.
 */
export function release(keeping: Keeping, why: string): Promise<void> {
  keeping.isReleased = true
  if (keeping.releasing !== undefined) return keeping.releasing
  const releasing = enqueue(keeping, async () => {
    if (keeping.running !== undefined) await keeping.running.kill(reapWithinMs)
    await tidyAfterDeath(keeping)
    await keeping.ports.records.remove(keeping.vmId)
    become(keeping, 'stopped', why)
  }).finally(() => {
    if (keeping.releasing === releasing) keeping.releasing = undefined
  })
  keeping.releasing = releasing
  return releasing
}

/** What nobody waits for: when it breaks, the machine has failed, and the other machines' agent goes on. */
export function inBackground(keeping: Keeping, work: () => Promise<void>): void {
  work().catch((error: unknown) => {
    become(keeping, 'failed', error instanceof Error ? error.message : String(error))
    keeping.ports.logger.error('machine.broke', { vmId: keeping.vmId, error })
  })
}

async function launch(keeping: Keeping, needsConfirmation: boolean): Promise<void> {
  const { vmId, ports } = keeping
  const { epoch, incarnation, machine } = keeping.record
  const isCancelled = () => !isWanted(keeping, epoch)
  try {
    const started = await launchMachine(
      { machine, life: { vmId, epoch, incarnation }, needsConfirmation, isCancelled },
      ports,
    )
    keeping.running = started
    followToItsEnd(keeping, started)
    await writeRecord(keeping, { confirmed: true })
    become(keeping, 'running', '')
  } catch (error) {
    await tidyAfterDeath(keeping)
    const lacksLicence = error instanceof DialtoneError && error.code === 'licence-lost'
    if (lacksLicence && !needsConfirmation) return retryWithLicence(keeping, epoch)
    become(keeping, 'failed', error instanceof Error ? error.message : String(error))
    ports.logger.warn('machine.start-failed', { vmId, epoch, error })
  }
}

function retryWithLicence(keeping: Keeping, epoch: number): void {
  become(keeping, 'restarting', 'waits for a licence: the lease has run out and a slot has a pill or cannot be read')
  const again = async () => {
    if (isWanted(keeping, epoch) && keeping.running === undefined) await launch(keeping, false)
  }
  inBackground(keeping, () => keeping.ports.clock.sleep(licenceRetryMs).then(() => enqueue(keeping, again)))
}

/** Under an unchanged placement only: an order that came in between has taken over, and only an epoch that ran once goes on by itself. */
async function restart(keeping: Keeping, epoch: number): Promise<void> {
  if (!isWanted(keeping, epoch) || keeping.running !== undefined || !keeping.record.confirmed) return
  await keeping.ports.cgroups.kill(keeping.vmId, reapWithinMs)
  await writeRecord(keeping, { incarnation: keeping.record.incarnation + 1 })
  await launch(keeping, false)
}

function isWanted(keeping: Keeping, epoch: number): boolean {
  return !keeping.isReleased && keeping.orderedEpoch === epoch && keeping.record.wanted === 'running'
}

async function afterExit(keeping: Keeping, machine: RunningMachine, exit: MachineExit): Promise<void> {
  if (machine !== keeping.running || keeping.isReleased) return
  const { vmId, ports, record } = keeping
  ports.logger.warn('machine.exited', { vmId, name: record.machine.name, reason: exit.reason, detail: exit.detail })
  if (record.wanted === 'stopped' || exit.reason === 'guest-shutdown') {
    keeping.guestShutdown = exit.reason === 'guest-shutdown'
    await tidyAfterDeath(keeping)
    await writeRecord(keeping, { wanted: 'stopped' })
    return become(keeping, 'stopped', exit.detail)
  }
  machine.detach()
  keeping.running = undefined
  await afterCrash(keeping, exit.detail)
}
