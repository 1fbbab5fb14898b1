/** Faults of the controller: killed, paused, stopped and started again. */

import { setTimeout as delay } from 'node:timers/promises'
import { isCgroupEmpty, killCgroupAndWait } from '../linux/cgroup.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { describeLaboratory } from './describe-laboratory.ts'
import type { LaboratoryRecord } from './laboratory-record.ts'
import { controllerCgroup, startController } from './start-programs.ts'

export const controllerActions = {
  kill: 'SIGKILL; it is started again after 300 ms',
  pause: 'SIGSTOP: it keeps its sockets and answers nobody',
  continue: 'SIGCONT after a pause',
  stop: 'a clean stop; it stays stopped',
  start: 'after a stop',
} as const
export type ControllerAction = keyof typeof controllerActions

const cleanStopMs = 5000

export async function steerController(home: string, record: LaboratoryRecord, action: ControllerAction): Promise<void> {
  switch (action) {
    case 'kill':
      return signalController(home, record, 'SIGKILL')
    case 'pause':
      return signalController(home, record, 'SIGSTOP')
    case 'continue':
      return signalController(home, record, 'SIGCONT')
    case 'stop':
      return stopController(home, record)
    case 'start':
      if (await isCgroupEmpty(controllerCgroup(record))) return startController(home, record)
      throw new DialtoneError('wrong-state', 'the controller runs already')
  }
}

async function signalController(home: string, record: LaboratoryRecord, signal: NodeJS.Signals): Promise<void> {
  const { controller } = (await describeLaboratory(home, record)).pids
  if (controller === null) throw new DialtoneError('wrong-state', 'the controller is not running')
  process.kill(controller, signal)
}

/** Asks first, through its keeper, so that it isn't started again. */
async function stopController(home: string, record: LaboratoryRecord): Promise<void> {
  const { controllerKeeper } = (await describeLaboratory(home, record)).pids
  if (controllerKeeper !== null) process.kill(controllerKeeper, 'SIGTERM')
  const givesUpAt = performance.now() + cleanStopMs
  while (!(await isCgroupEmpty(controllerCgroup(record))) && performance.now() < givesUpAt) await delay(20)
  await killCgroupAndWait(controllerCgroup(record), cleanStopMs)
}
