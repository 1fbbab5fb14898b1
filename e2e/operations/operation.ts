import type { Asked, Contents, Shape, Subject } from './subject.ts'
import type { State } from './table.ts'

/** The machine before somebody asks for the operation. */
export type Before = {
  /** Null while nobody can ask it. */
  readonly seen: {
    readonly bootId: string
    readonly pid: number | null
    readonly contents: Contents
    readonly shape: Shape
  } | null
  readonly isOff: boolean
  /** What waits for its next start already, by what it is. */
  readonly pending: readonly string[]
}

/** One thing that an owner can ask of a machine, and how it is seen that it was done. */
export type Operation = {
  /** What it takes: a snapshot to return to, a change to commit. The machine may be off. */
  prepare?(subject: Subject, state: State): Promise<void>
  ask(subject: Subject): Promise<Asked>
  /** Its effect is there: throws otherwise. Asked once it is over, of a machine that moved once that is over, too. */
  check(subject: Subject, before: Before): Promise<void>
  /** So that the next operation finds the machine as this one did. Also after it was refused. */
  tidy?(subject: Subject): Promise<void>
  /** What it leaves behind is another present, or another life: only `check` knows what is to be there. */
  readonly changesContents?: true
}
