/** What a VM is to have and has not at the moment. Pure: for people, and for tasks that wait until it is so. */
import { type Pending, pendingOf } from '../../model/growth.ts'
import { nicsOf } from '../../model/network.ts'
import { configurationOf, type VmSpec, type VmStatus } from '../../model/vm.ts'

/** Empty for one that doesn't run: it has all at its next start. */
export function pendingOfVm(spec: VmSpec, status: VmStatus | undefined): readonly Pending[] {
  const { hardware } = status ?? {}
  if (hardware === null || hardware === undefined || status?.state !== 'running') return []
  const [, ...cards] = nicsOf(spec)
  const pending = pendingOf({ ...spec, cards }, hardware)
  if (hasHeard(spec, status)) return pending
  // What its agent said was said of an earlier wish; and limits are no part of what it has.
  const soon = pending.map((one): Pending => ({ ...one, when: 'soon', why: '' }))
  return soon.length > 0 ? soon : [untold]
}

const untold: Pending = { what: 'limits', which: '', wanted: 'as set', present: 'as before', when: 'soon', why: '' }

/** Its agent reports of this very wish. */
export function hasHeard(spec: VmSpec, status: VmStatus | undefined): boolean {
  return status?.recovery?.configuration === configurationOf(spec)
}

/** One sentence; empty when nothing is pending. */
export function describePending(pending: readonly Pending[]): string {
  return pending.map(describe).join('; ')
}

function describe({ what, which, wanted, present, when, why }: Pending): string {
  const name = which === '' ? what : `${what} ${which}`
  const reason = why === '' ? '' : `: ${why}`
  return `${name}: wanted ${wanted}, has ${present}${when === 'next-start' ? ', at its next start' : ''}${reason}`
}
