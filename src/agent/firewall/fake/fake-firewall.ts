/** A host's firewall in memory, for the simulator and for tests. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { type FirewallKind, type HostFirewall, keepsGroups, openFirewall } from '../../../model/firewall.ts'
import type { Firewall, GuardedTap } from '../firewall.ts'

export type FakeFirewall = Firewall & {
  guardedTaps(): readonly GuardedTap[]
  policy(): HostFirewall
  /** While true, nothing can be guarded. */
  setBroken(isBroken: boolean): void
}

export function createFakeFirewall(kind: FirewallKind = 'bridge-conntrack'): FakeFirewall {
  const taps = new Map<string, GuardedTap>()
  let policy = openFirewall
  let isBroken = false
  const isGuarded = (tap: GuardedTap) => {
    const { macAddress, address, vmId } = taps.get(tap.tapName) ?? {}
    return macAddress === tap.macAddress && address === tap.address && vmId === tap.vmId
  }
  return {
    ability: () => ({ kind, detail: `a firewall in memory, ${kind}` }),
    isGuarded,
    async guard(tap) {
      const isFiltered = policy.machines.some(({ vmId }) => vmId === tap.vmId)
      if (isFiltered && !keepsGroups(kind))
        throw new DialtoneError('network-failed', `this host can't keep the security groups of ${tap.vmId}`)
      if (isBroken) throw new DialtoneError('network-failed', 'the firewall of this host is broken')
      taps.set(tap.tapName, tap)
    },
    forget: async (tapName) => void taps.delete(tapName),
    async adopt(adopted) {
      taps.clear()
      for (const tap of adopted) taps.set(tap.tapName, tap)
    },
    setNetworks: async () => undefined,
    setPolicy: async (next) => {
      policy = next
    },
    guardedTaps: () => [...taps.values()],
    policy: () => policy,
    setBroken(broken) {
      isBroken = broken
    },
  }
}
