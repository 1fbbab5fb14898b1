/** States as words, with a colour that repeats them. */
import type { TaskView } from '../model/api/views.ts'
import type { HostState } from '../model/host.ts'
import type { VmState } from '../model/vm.ts'
import type { Cell, TextStyle } from './text-table.ts'

const vmStyles: Readonly<Record<VmState, TextStyle | null>> = {
  creating: 'cyan',
  deleting: 'cyan',
  stopped: 'dim',
  waiting: 'yellow',
  starting: 'cyan',
  running: 'green',
  paused: 'yellow',
  frozen: 'yellow',
  stopping: 'cyan',
  restarting: 'yellow',
  failed: 'red',
  unknown: 'red',
  lost: 'red',
}

const hostStyles: Readonly<Record<HostState, TextStyle>> = {
  online: 'green',
  deaf: 'yellow',
  suspect: 'yellow',
  fenced: 'red',
  maintenance: 'cyan',
  offline: 'red',
}

const taskStyles: Readonly<Record<TaskView['state'], TextStyle>> = {
  running: 'cyan',
  succeeded: 'green',
  failed: 'red',
  cancelled: 'yellow',
  undoing: 'yellow',
}

export function vmStateCell(state: VmState): Cell {
  return { text: state, style: vmStyles[state] }
}

export function hostStateCell(state: HostState): Cell {
  return { text: state, style: hostStyles[state] }
}

export function taskStateCell(state: TaskView['state']): Cell {
  return { text: state, style: taskStyles[state] }
}
