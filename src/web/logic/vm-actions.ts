/** What can be done with a machine, why it can't be done now, and what it means. The same state table refuses it in the server. */
import type { UserRole } from '../../model/access.ts'
import type { VmView } from '../../model/api/views.ts'
import { type VmAction, vmActionTable } from '../../model/vm.ts'
import type { ConsoleClient } from '../api/console-client.ts'

/** Serial consoles and snapshots have cards of their own. */
export type ConsoleVmAction = Exclude<VmAction, 'console' | 'snapshot' | 'revert'>

export const vmActions: readonly ConsoleVmAction[] = [
  'start',
  'stop',
  'pause',
  'resume',
  'migrate',
  'reset',
  'kill',
  'delete',
]

/** `none`: done at once. `ask`: a question. `type-name`: what can't be undone is confirmed by typing its name. */
export const confirmationOf: Readonly<Record<ConsoleVmAction, 'none' | 'ask' | 'type-name'>> = {
  start: 'none',
  stop: 'ask',
  pause: 'none',
  resume: 'none',
  migrate: 'none',
  reset: 'ask',
  kill: 'ask',
  delete: 'type-name',
}

const rank: Readonly<Record<UserRole, number>> = { viewer: 1, operator: 2, administrator: 3 }

/** A sentence on why this role can't do what needs another; null when it can. */
export function obstacleOfRole(has: UserRole, needs: UserRole): string | null {
  return rank[has] >= rank[needs] ? null : `This needs the role ${needs}; you have the role ${has}.`
}

/** Why this can't be done with it now: a sentence; null when it can. */
export function obstacleTo(action: VmAction, vm: Pick<VmView, 'name' | 'status'>, role: UserRole): string | null {
  const ofRole = obstacleOfRole(role, 'operator')
  if (ofRole !== null) return ofRole
  const { state } = vm.status
  if (isPointless(action, state)) return `${vm.name} is ${state} already.`
  return vmActionTable[action].includes(state) ? null : `${vm.name} is ${state}: this needs it ${wanted(action)}.`
}

/** The server takes these as fulfilled; a button that changes nothing only misleads. */
function isPointless(action: VmAction, state: VmView['status']['state']): boolean {
  if (action === 'start') return state === 'running' || state === 'starting'
  if (action === 'stop' || action === 'kill') return state === 'stopped'
  return (action === 'pause' && state === 'paused') || (action === 'resume' && state === 'running')
}

function wanted(action: VmAction): string {
  return vmActionTable[action].join(', ').replace(/, (?=[^,]*$)/, ' or ')
}

/** What the command line would be given for the same. */
export function commandFor(action: ConsoleVmAction, name: string): string {
  return `dialtone vm ${action} ${name}`
}

/** Has the controller do it. What becomes a task shows among the tasks by itself. */
export async function carryOut(client: ConsoleClient, action: ConsoleVmAction, vm: string): Promise<void> {
  const params = { vm }
  switch (action) {
    case 'start':
      return void (await client.call('startVm', { params }))
    case 'stop':
      return void (await client.call('stopVm', { params }))
    case 'pause':
      return void (await client.call('pauseVm', { params }))
    case 'resume':
      return void (await client.call('resumeVm', { params }))
    case 'migrate':
      return void (await client.call('migrateVm', { params }))
    case 'reset':
      return void (await client.call('resetVm', { params }))
    case 'kill':
      return void (await client.call('killVm', { params }))
    case 'delete':
      return void (await client.call('deleteVm', { params }))
  }
}
