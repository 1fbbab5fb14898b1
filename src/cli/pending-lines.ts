/** What a VM is to have and has not yet: a line for each, for `vm show` and for the commands that change it. */
import { setTimeout as delay } from 'node:timers/promises'
import type { VmView } from '../model/api/views.ts'
import type { Pending } from '../model/growth.ts'
import { printableText } from '../model/printable-text.ts'
import type { Session } from './session.ts'

/** A guest takes what comes within a second or two. */
const patienceMs = 15_000
const lookAgainMs = 200

export function describePending({ what, which, wanted, present, when, why }: Pending): string {
  const name = which === '' ? what : `${what} ${which}`
  const then = when === 'next-start' ? 'at its next start' : 'under way'
  return `${name}: ${wanted} ${then}, ${present} now${why === '' ? '' : ` (${why})`}`
}

/** Waits a moment for what is under way, and says what is still missing then. Gives the VM as it is then. */
export async function tellPending({ api, screen }: Session, { id }: VmView): Promise<VmView> {
  const params = { vm: id }
  const givesUpAt = performance.now() + patienceMs
  let view = await api.call('getVm', { params })
  while (isUnderWay(view) && performance.now() < givesUpAt) {
    await delay(lookAgainMs)
    view = await api.call('getVm', { params })
  }
  if (!screen.json) for (const one of view.pending) screen.write(`${printableText(describePending(one))}\n`)
  return view
}

/** Also before its agent has said what it has. */
function isUnderWay({ pending, status, desired }: VmView): boolean {
  const isUntold = desired === 'running' && status.state === 'running' && (status.hardware ?? null) === null
  return isUntold || pending.some(({ when, why }) => when === 'soon' && why === '')
}
