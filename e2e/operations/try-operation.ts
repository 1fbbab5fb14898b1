/** Asks for an operation, and says what came of it in the words of the table. */
import assert from 'node:assert/strict'
import type { VmView } from '../../src/model/api/views.ts'
import { DialtoneError } from '../../src/model/dialtone-error.ts'
import type { Before, Operation } from './operation.ts'
import type { Subject } from './subject.ts'

export type Outcome =
  | { readonly kind: 'works' }
  | { readonly kind: 'next-start' }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }

/** Asks, without waiting for what follows: `over` resolves when that is done. */
export async function askFor(operation: Operation, subject: Subject) {
  try {
    const asked = await operation.ask(subject)
    return { refusal: undefined, over: () => subject.done(Promise.resolve(asked)) }
  } catch (error) {
    if (!(error instanceof DialtoneError)) throw error
    const refusal: Outcome = { kind: 'refused', code: error.code, message: error.message }
    return { refusal, over: async () => undefined }
  }
}

export async function lookBefore(subject: Subject): Promise<Before> {
  const { status, pending } = await subject.look()
  const common = { pending: untilNextStart(pending), isOff: status.state === 'stopped' }
  if (status.state !== 'running') return { ...common, seen: null }
  const { bootId } = await subject.answer()
  const { pid } = status
  return { ...common, seen: { bootId, pid, contents: await subject.contents(), shape: await subject.shape() } }
}

/** It has had its effect, or will have it at the next start. */
export async function judge(operation: Operation, subject: Subject, before: Before): Promise<Outcome> {
  await operation.check(subject, before)
  const now = await subject.look().then(
    ({ pending }) => untilNextStart(pending),
    () => [],
  )
  return { kind: now.some((what) => !before.pending.includes(what)) ? 'next-start' : 'works' }
}

/** Throws when the guest is not what it was. */
export async function requireUnharmed(subject: Subject, { seen }: Before): Promise<void> {
  if (seen === null) return
  const { bootId } = await subject.answer()
  assert.deepEqual([bootId, await subject.contents()], [seen.bootId, seen.contents])
}

function untilNextStart(pending: VmView['pending']): readonly string[] {
  return pending.flatMap(({ what, which, when }) => (when === 'next-start' ? [`${what} ${which}`] : []))
}
