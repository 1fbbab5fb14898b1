/** Network cards of a VM: what it has, one more, one less. A machine's cards change while it is off. */
import { assignNic, type NicWish } from '../../control/networks/assign-nics.ts'
import { commitAndSee, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { addressClaimOf, enterNetworks } from '../../engine/networks/card-claims.ts'
import { keys } from '../../engine/state/keys.ts'
import type { VmNicView, VmView } from '../../model/api/views.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { cardFields, nicsOf, type VmNic } from '../../model/network.ts'
import type { Caller } from '../../transport/caller.ts'
import { nicViews } from '../views/vm-view.ts'
import { type ApiContext, findVm, viewOfVm } from './api-context.ts'

export function listNics(context: ApiContext, reference: string): VmNicView[] {
  return nicViews(context.engine.leader.index.state(), findVm(context, reference).spec)
}

/** Throws `wrong-state` when it runs, `in-use` when it has a card there, and what `assignNic` refuses. */
export async function addNic(
  context: ApiContext,
  reference: string,
  { wish, caller }: { readonly wish: NicWish; readonly caller: Caller },
): Promise<VmView> {
  const { leader } = context.engine
  return untilCommitted(reference, async () => {
    const vm = findVm(context, reference)
    refuseUnlessOff(vm)
    const { spec } = vm
    const [first, ...more] = cardsOf(vm)
    const nic = assignNic(leader.index.state(), { name: spec.name, nics: [first, ...more] }, wish)
    if ('kind' in nic) throw new DialtoneError(nic.code, nic.message)
    const claim = addressClaimOf(nic)
    const entry = enterNetworks(leader, spec.id, [nic])
    const message = `card ${nic.number} with ${nic.address} in ${wish.network} was added by ${caller.name}`
    const sorted = [...more, nic].sort((left, right) => left.number - right.number)
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, keys.vm(spec.id)), { key: claim, modRevision: 0 }, ...entry.conditions],
      writes: [
        put(keys.vm(spec.id), { ...spec, ...cardFields(first, sorted) }),
        put(claim, spec.id),
        ...entry.writes,
        leader.events.write({ kind: 'vm.nic-added', subject: spec.name, message, vmId: spec.id, user: caller.name }),
      ],
    })
    return result.kind === 'committed' ? viewOfVm(context, spec.id) : undefined
  })
}

/** `nic`: its number, or its network's name or id. */
export async function removeNic(
  context: ApiContext,
  reference: string,
  { nic: which, caller }: { readonly nic: string; readonly caller: Caller },
): Promise<VmView> {
  const { leader } = context.engine
  return untilCommitted(reference, async () => {
    const vm = findVm(context, reference)
    refuseUnlessOff(vm)
    const { spec } = vm
    const [first, ...more] = cardsOf(vm)
    const view = nicViews(leader.index.state(), spec).find(
      ({ number, networkName, networkId }) => `${number}` === which || networkName === which || networkId === which,
    )
    if (view === undefined) throw new DialtoneError('not-found', `${spec.name} has no network card ${which}`)
    if (view.number === first.number)
      throw new DialtoneError('invalid-input', `card ${first.number} of ${spec.name} is its first one, which stays`)
    const message = `card ${view.number} with ${view.address} in ${view.networkName} was removed by ${caller.name}`
    const rest = more.filter(({ number }) => number !== view.number)
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, keys.vm(spec.id))],
      writes: [
        put(keys.vm(spec.id), { ...spec, ...cardFields(first, rest) }),
        { kind: 'delete', key: addressClaimOf(view) },
        leader.events.write({ kind: 'vm.nic-removed', subject: spec.name, message, vmId: spec.id, user: caller.name }),
      ],
    })
    return result.kind === 'committed' ? viewOfVm(context, spec.id) : undefined
  })
}

function cardsOf({ spec }: VmRecord): readonly [VmNic, ...VmNic[]] {
  const [first, ...more] = nicsOf(spec)
  if (first === undefined) throw new DialtoneError('internal', `${spec.name} has no network card`)
  return [first, ...more]
}

function refuseUnlessOff({ spec, status }: VmRecord): void {
  const state = spec.lifecycle === 'live' ? (status?.state ?? 'stopped') : spec.lifecycle
  if (state === 'stopped' && spec.desired === 'stopped') return
  throw new DialtoneError(
    'wrong-state',
    `${spec.name} is ${state}; its network cards are changed while it is off: dialtone vm stop ${spec.name}`,
  )
}
