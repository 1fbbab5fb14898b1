/**
 * A VM that was entered anew from what lies beside its disks may still run somewhere. Nothing of it is started, stopped or let go before that is
 * known: the life that a host holds becomes the placed one, or every host that may hold one has told that it does not, or is dead. Pure.
 */
import type { VmRecord } from '../model/cluster-state.ts'
import { isUnsettled } from '../model/rebuild/rebuilt-vm.ts'
import type { DesiredPower, MachineReport } from '../model/vm.ts'
import type { RebuiltLife, VmDecision, VmQuestion } from './vm-decision.ts'

/** Undefined for every other VM. */
export function decideOnRebuilt({ spec }: VmRecord, { rebuilt: facts }: VmQuestion): VmDecision | undefined {
  const { rebuilt } = spec
  if (rebuilt === undefined || !isUnsettled(spec)) return undefined
  const { lives, unheard } = facts ?? { lives: [], unheard: [] }
  // What came there to run, and never did, is no life of it: it is let go of like any other stray, later.
  const own = lives
    .filter(({ report }) => report.isArriving !== true)
    .toSorted((left, right) => right.report.epoch - left.report.epoch)
  const atWork = own.find(({ report }) => isAtWork(report) && report.epoch >= rebuilt.ownedEpoch)
  if (atWork !== undefined) return adopt(spec.desired, atWork)
  if (facts === undefined || unheard.length > 0) {
    const names = unheard.join(' and ')
    return {
      kind: 'wait',
      reason: `it was entered anew from its disks, and ${names} may run it and has not told yet: bring that host back, or confirm that it is off: dialtone host confirm-dead ${unheard[0] ?? ''}`,
    }
  }
  const [newest] = own
  if (newest !== undefined) return adopt(spec.desired, newest)
  return { kind: 'settle-rebuilt', reason: 'no host holds a life of it' }
}

function adopt(wish: DesiredPower, { hostId, hostName, report }: RebuiltLife): VmDecision {
  return {
    kind: 'adopt',
    hostId,
    epoch: report.epoch,
    leased: report.leased,
    disks: [],
    desired: wish === 'stopped' ? asItIs(report) : wish,
    reason: `it is ${report.phase} there under epoch ${report.epoch}, as ${hostName} says`,
  }
}

/** Its guest works, or its owner has paused it. */
function isAtWork({ phase, isHandedOver }: MachineReport): boolean {
  return (phase === 'running' || phase === 'paused') && !isHandedOver
}

/** What goes on by itself is left to go on; nothing else is started. */
function asItIs(report: MachineReport): DesiredPower {
  if (report.isHandedOver) return 'stopped'
  switch (report.phase) {
    case 'running':
    case 'restarting':
    case 'frozen':
      return 'running'
    case 'paused':
      return 'paused'
    case 'starting':
    case 'stopping':
    case 'stopped':
    case 'failed':
      return 'stopped'
  }
}
