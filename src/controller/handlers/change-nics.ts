/** Network cards of a VM: what it has, one more, one less; while it runs or is stopped. */
import { refuseChange, refuseGuest } from '../../control/growth/admit-disk.ts'
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
import { beginTask } from './change-disks.ts'

export function listNics(context: ApiContext, reference: string): VmNicView[] {
  return nicViews(context.engine.leader.index.state(), findVm(context, reference).spec)
}

/** Throws `in-use` when it has a card there or is being worked on, and what `assignNic` refuses. */
export async function addNic(
  context: ApiContext,
  reference: string,
  { wish, caller }: { readonly wish: NicWish; readonly caller: Caller },
): Promise<VmView> {
  const { leader } = context.engine
  return untilCommitted(reference, async () => {
    const vm = findVm(context, reference)
    refuseBusy(context, vm)
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
) {
  const vm = findVm(context, reference)
  refuseBusy(context, vm)
  const { spec } = vm
  const [first] = cardsOf(vm)
  const view = nicViews(context.engine.leader.index.state(), spec).find(
    ({ number, networkName, networkId }) => `${number}` === which || networkName === which || networkId === which,
  )
  if (view === undefined) throw new DialtoneError('not-found', `${spec.name} has no network card ${which}`)
  if (view.number === first.number)
    throw new DialtoneError('invalid-input', `card ${first.number} of ${spec.name} is its first one, which stays`)
  const journal = { vmId: spec.id, what: { kind: 'card', number: view.number } }
  return beginTask(context, spec, { kind: 'vm.detach-card', journal, caller })
}

function cardsOf({ spec }: VmRecord): readonly [VmNic, ...VmNic[]] {
  const [first, ...more] = nicsOf(spec)
  if (first === undefined) throw new DialtoneError('internal', `${spec.name} has no network card`)
  return [first, ...more]
}

function refuseBusy({ engine }: ApiContext, vm: VmRecord): void {
  const refusal = refuseChange(engine.leader.index.state(), vm) ?? refuseGuest(vm, 'card')
  if (refusal !== undefined) throw new DialtoneError(refusal.code, refusal.message)
}
