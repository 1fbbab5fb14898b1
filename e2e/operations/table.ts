/**
 * What each operation does to a machine in each of the states that matter: the very data that `operations-by-state.test.ts` tries out on real
 * guests, and that the table in docs/operations-by-state.md is made of. Pure.
 */
import type { ErrorCode } from '../../src/model/dialtone-error.ts'

export const states = ['running', 'stopped', 'migrating', 'grown', 'resumed'] as const
export type State = (typeof states)[number]

export const stateTitles: Readonly<Record<State, string>> = {
  running: 'running',
  stopped: 'stopped',
  migrating: 'migrating',
  grown: 'after hot-add',
  resumed: 'after warm resume',
}

export type Cell =
  | { readonly kind: 'works' }
  /** It is accepted, and the machine has it from its next start on. */
  | { readonly kind: 'next-start' }
  /** At once, with this code; these words of the message say what to do. */
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly words: string }

const works: Cell = { kind: 'works' }
const nextStart: Cell = { kind: 'next-start' }
const refused = (code: ErrorCode, words: string): Cell => ({ kind: 'refused', code, words })

const waitUntilThere = refused('in-use', 'wait until it is there')
const changeLater = refused('in-use', 'change it when it has arrived')
const offHasNoMemory = refused('wrong-state', 'only one that runs has a memory; take its disks')
const recoversByBooting = refused('wrong-state', 'let it recover from memory first, with dialtone vm set')
const startItInstead = refused('wrong-state', 'start it instead')
const shutItDown = refused(
  'wrong-state',
  'delete needs it stopped, failed, waiting, lost, creating, deleting (or delete it with --force)',
)

type Row = Readonly<Record<State, Cell>>

/** Works in every state but those that are named. */
function row(exceptions: Partial<Row> = {}): Row {
  return { running: works, stopped: works, migrating: works, grown: works, resumed: works, ...exceptions }
}

/** The same while it runs, whatever came before. */
function rowWhileItRuns(cell: Cell, exceptions: Partial<Row> = {}): Row {
  return row({ running: cell, grown: cell, resumed: cell, ...exceptions })
}

/** In the order in which they are tried out. Processors that are taken out: as an emulated machine does it. */
export const table = {
  'vm rename': row({ migrating: refused('in-use', 'wait for it with dialtone task watch') }),
  'vm tag': row(),
  'vm set --limit': row(),
  'vm set --memory, more': row({ migrating: changeLater }),
  'vm set --memory, less': row({ migrating: changeLater }),
  // It has as many as a host of the laboratory has already.
  'vm set --cpus, more': row({ migrating: changeLater, grown: refused('no-host-fits', 'the host has 2 processors') }),
  'vm set --cpus, fewer': rowWhileItRuns(nextStart, { migrating: changeLater }),
  'vm disk attach': row({ migrating: changeLater }),
  'vm disk resize': row({ migrating: changeLater }),
  'vm disk detach': row({ migrating: changeLater }),
  'vm nic attach': row({ migrating: changeLater }),
  'vm nic detach': row({ migrating: changeLater }),
  'vm snapshot create --disk': row({ migrating: waitUntilThere }),
  'vm snapshot create --memory': row({ migrating: waitUntilThere, stopped: offHasNoMemory }),
  'vm snapshot revert, its disks': row({ migrating: waitUntilThere }),
  'vm snapshot revert, with memory': row({ migrating: waitUntilThere }),
  'vm snapshot delete': row(),
  'vm change begin': row({
    migrating: waitUntilThere,
    stopped: refused('wrong-state', 'only one that runs can be watched'),
  }),
  'vm change commit': row(),
  'vm change revert': row({ migrating: waitUntilThere }),
  'vm clone --linked': row({ migrating: waitUntilThere }),
  'vm clone --full': row({ migrating: waitUntilThere }),
  'vm clone, from memory': row({
    migrating: waitUntilThere,
    stopped: refused('wrong-state', 'let it run first'),
    grown: refused('image-unfit', 'clone its disks with dialtone vm clone'),
  }),
  'vm warm': row({
    running: recoversByBooting,
    stopped: recoversByBooting,
    migrating: recoversByBooting,
    grown: recoversByBooting,
  }),
  'vm migrate': row({
    stopped: refused('wrong-state', 'start a stopped one elsewhere'),
    migrating: refused('in-use', 'is being moved to'),
  }),
  'vm pause': row({ stopped: refused('wrong-state', 'pause needs it running, paused') }),
  'vm resume': row({ stopped: refused('wrong-state', 'resume needs it paused, running') }),
  'vm reset': row({ stopped: refused('wrong-state', 'reset needs it running, paused') }),
  'vm recover --by boot': row({ stopped: startItInstead }),
  'vm stop': row(),
  'vm start': row(),
  'vm kill': row(),
  'vm delete': rowWhileItRuns(shutItDown, { migrating: shutItDown }),
} as const satisfies Readonly<Record<string, Row>>

export type OperationName = keyof typeof table
