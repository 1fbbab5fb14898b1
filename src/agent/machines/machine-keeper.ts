/**
 * The life of one machine on this host: started by order, restarted on the spot when its process dies, frozen and killed by its licence,
 * stopped or released by order.
 */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import type { MachineReport } from '../../model/vm.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { applyLicence, guardMachine } from './apply-licence.ts'
import {
  become,
  beginKeeping,
  enqueue,
  type Keeping,
  reportOf,
  tidyAfterDeath,
  whenStill,
  writeRecord,
} from './keeping.ts'
import { afterCrash, followToItsEnd, inBackground, release, startByOrder } from './machine-life.ts'
import type { MachinePorts } from './machine-ports.ts'
import type { MachineRecord } from './machine-record.ts'

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
}

/** `after`: what was still going on here about this machine; the keeper changes nothing before that is settled. */
export function createMachineKeeper(
  record: MachineRecord,
  ports: MachinePorts,
  after: Promise<unknown> = Promise.resolve(),
): MachineKeeper {
  const keeping = beginKeeping(record, ports, after)
  let isApplying = false
  return {
    report: () => reportOf(keeping),
    record: () => keeping.record,
    epoch: () => keeping.orderedEpoch,
    isReleased: () => keeping.isReleased,
    running: () => keeping.running,
    start: (machine, epoch) => start(keeping, machine, epoch),
    adopt: (running) => enqueue(keeping, () => adopt(keeping, running)),
    restartOnTheSpot: () =>
      inBackground(keeping, () => enqueue(keeping, () => afterCrash(keeping, 'it was dead when the agent came back'))),
    shutDown: () => enqueue(keeping, () => shutDown(keeping)),
    release: (detail) => release(keeping, detail),
    pause: () => enqueue(keeping, () => whenStill(keeping, 'running', (machine) => pause(keeping, machine))),
    resume: () => enqueue(keeping, () => whenStill(keeping, 'paused', (machine) => resume(keeping, machine))),
    reset: () => enqueue(keeping, () => reset(keeping)),
    async applyLicence() {
      if (isApplying) return
      isApplying = true
      await applyLicence(keeping).finally(() => {
        isApplying = false
      })
    },
  }
}

function start(keeping: Keeping, machine: MachineOrder, epoch: number): void {
  keeping.orderedEpoch = epoch
  keeping.isReleased = false
  // What is released from here on is this order, not the life before it.
  keeping.releasing = undefined
  become(keeping, 'starting', 'ordered')
  inBackground(keeping, () => enqueue(keeping, () => startByOrder(keeping, machine, epoch)))
}

async function adopt(keeping: Keeping, running: RunningMachine): Promise<void> {
  keeping.running = running
  if (keeping.record.machine.leased) await guardMachine(keeping, false)
  followToItsEnd(keeping, running)
  // One that doesn't answer at the moment is there all the same: it is guarded, followed and can be killed.
  const state = await running.state().catch(() => 'running' as const)
  const phase = keeping.record.wanted === 'stopped' ? 'stopping' : state === 'paused' ? 'paused' : 'running'
  become(keeping, phase, 're-adopted')
}

async function shutDown(keeping: Keeping): Promise<void> {
  await writeRecord(keeping, { wanted: 'stopped' })
  const { running } = keeping
  if (running === undefined) {
    // The leader takes a stop as a proof: also what an earlier attempt could not reap has to be gone.
    await tidyAfterDeath(keeping)
    return become(keeping, 'stopped', 'stopped by order')
  }
  if (keeping.phase === 'paused') await running.resume()
  await running.pressPowerButton()
  // A frozen guest can't listen: the button is pressed again when it thaws.
  if (keeping.phase !== 'frozen') become(keeping, 'stopping', 'its power button was pressed')
}

async function pause(keeping: Keeping, machine: RunningMachine): Promise<void> {
  await machine.pause()
  become(keeping, 'paused', 'paused by order')
}

async function resume(keeping: Keeping, machine: RunningMachine): Promise<void> {
  await machine.resume()
  become(keeping, 'running', '')
}

async function reset({ running, record }: Keeping): Promise<void> {
  if (running === undefined)
    throw new DialtoneError('wrong-state', `${record.machine.name} has no process here that could be reset`)
  await running.reset()
}
