/** What only one VM can have: name, number, addresses. Pure, but for what was taken. */
import type { ClusterState } from '../../model/cluster-state.ts'
import { nicsOf } from '../../model/network.ts'
import type { VmSpec } from '../../model/vm.ts'

export type Claims = {
  /** Which other machine has something of it, and what to do; undefined when nobody has. */
  takenBy(vm: VmSpec): string | undefined
  take(vm: VmSpec): void
}

export function createClaims({ vms }: Pick<ClusterState, 'vms'>): Claims {
  const owners = new Map<string, string>()
  const take = (vm: VmSpec) => {
    for (const claim of claimsOf(vm)) owners.set(claim, vm.name)
  }
  for (const { spec } of vms.values()) take(spec)
  return {
    take,
    takenBy(vm) {
      const claim = claimsOf(vm).find((one) => owners.has(one))
      if (claim === undefined) return undefined
      return `${owners.get(claim) ?? 'another VM'} has its ${claim} already: rename, change or delete that one, then repeat`
    },
  }
}

function claimsOf(vm: VmSpec): readonly string[] {
  const addresses = nicsOf(vm).map(({ networkId, address }) => `address ${address} in ${networkId}`)
  return [`name ${vm.name}`, `number ${vm.number}`, ...addresses]
}
