/**
 * The firewall by nftables, in the network namespace of this process. Our tables are a function of what is to be guarded and are always
 * replaced as a whole, in one transaction of the kernel: nothing can be left over, and no machine is unguarded for a moment. Changes that
 * come while one is made are made together. The tables outlive the agent; other tables are never touched.
 */
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { type HostFirewall, keepsGroups, openFirewall } from '../../../model/firewall.ts'
import type { Logger } from '../../../model/logger.ts'
import type { FilteredNetwork, Firewall, FirewallAbility, GuardedTap } from '../firewall.ts'
import { groupsOf, hasGroups } from './compile-groups.ts'
import { compileRules, tableName } from './compile-rules.ts'
import { bridgeOf, type FilterDescription } from './describe-filter.ts'
import { oneAtATime } from './one-at-a-time.ts'

export type NftFirewallOptions = {
  readonly bridge: string
  readonly hostAddress: string
  /** What `probeFirewall` found out. */
  readonly ability: FirewallAbility
  readonly logger: Logger
  /** How often it is looked whether our rules are still there, since a reload of the host's own firewall takes all away; 10,000 ms. */
  readonly watchMs?: number
}

type State = {
  readonly taps: Map<string, GuardedTap>
  policy: HostFirewall
  networks: readonly FilteredNetwork[]
  /** What the kernel has, tap by tap. While it is being replaced: what it had, which what is the same in both outlasts. */
  inForce: ReadonlyMap<string, string>
  /** Something is wanted that is not in force yet. */
  isBehind: boolean
  /** Bridges that hand packets to IP's hooks, as far as it was set by this process. */
  readonly following: Set<string>
}

const timeoutMs = 10_000

/** Nothing is changed before the first tap is guarded or adopted. Disposing of it leaves the rules in force. */
export function createNftFirewall(options: NftFirewallOptions): Firewall & AsyncDisposable {
  const { ability, logger } = options
  const { kind } = ability
  const state: State = {
    taps: new Map(),
    policy: openFirewall,
    networks: [],
    inForce: new Map(),
    isBehind: false,
    following: new Set(),
  }
  const apply = oneAtATime(() => bringIntoForce(state, options))
  let watch: NodeJS.Timeout | undefined
  const look = async () => {
    const isThere = await areRulesThere()
    if (isThere && !state.isBehind) return
    if (!isThere) logger.warn('firewall.rules-were-gone', { bridge: options.bridge })
    await apply()
  }
  const startWatch = () => {
    const failed = (error: unknown) => logger.error('firewall.not-in-force', { error })
    watch ??= setInterval(() => void look().catch(failed), options.watchMs ?? 10_000).unref()
  }
  const isGuarded = (tap: GuardedTap) => kind === 'none' || state.inForce.get(tap.tapName) === keyOf(tap)

  return {
    ability: () => ability,
    isGuarded,
    async guard(tap) {
      if (!keepsGroups(kind) && groupsOf(tap, state.policy) !== undefined) {
        throw new DialtoneError(
          'network-failed',
          `this host can't keep the security groups of ${tap.vmId}: ${ability.detail}`,
        )
      }
      if (isGuarded(tap)) return
      startWatch()
      const before = state.taps.get(tap.tapName)
      state.taps.set(tap.tapName, tap)
      try {
        await apply()
      } catch (error) {
        // It must not stand in the way of the others.
        if (before === undefined && state.taps.get(tap.tapName) === tap) state.taps.delete(tap.tapName)
        throw error
      }
    },
    async forget(tapName) {
      if (state.taps.delete(tapName)) await apply()
    },
    async adopt(taps) {
      if (kind === 'none') return
      state.taps.clear()
      for (const tap of taps) state.taps.set(tap.tapName, tap)
      startWatch()
      // Machines run on under the rules of the earlier agent until the watch brings these into force.
      await apply().catch((error: unknown) => logger.error('firewall.not-in-force', { error }))
    },
    async setNetworks(networks) {
      if (takeNetworks(state, networks)) await apply()
    },
    async setPolicy(policy) {
      const isSame = JSON.stringify(policy) === JSON.stringify(state.policy)
      state.policy = policy
      if (!isSame && state.taps.size > 0) await apply()
    },
    async [Symbol.asyncDispose]() {
      clearInterval(watch)
      await apply.idle()
    },
  }
}

/** True when other rules follow from it. */
function takeNetworks(state: State, networks: readonly FilteredNetwork[]): boolean {
  const { policy, taps, networks: before } = state
  state.networks = networks.map(({ number, router }) => ({ number, router }))
  return JSON.stringify(state.networks) !== JSON.stringify(before) && hasGroups({ taps: [...taps.values()], policy })
}

async function bringIntoForce(
  state: State,
  { ability, bridge, hostAddress, logger }: NftFirewallOptions,
): Promise<void> {
  const { kind } = ability
  if (kind === 'none') return
  const { policy, networks } = state
  const taps = [...state.taps.values()]
  const description: FilterDescription = { kind, bridge, hostAddress, networks, taps, policy }
  const rules = compileRules(description)
  const keys = new Map(taps.map((tap) => [tap.tapName, keyOf(tap)]))
  const follows = kind === 'bridge-netfilter' && hasGroups(description)
  state.isBehind = true
  const bridges = follows ? [bridge, ...networks.map(bridgeOf)] : []
  // First, or replies to what a machine asks would not be known as such.
  for (const name of bridges) if (!state.following.has(name)) await follow(state, name, true)
  await runCommand('nft', ['--file', '-'], { timeoutMs, errorCode: 'network-failed', input: rules })
  state.inForce = keys
  state.isBehind = false
  for (const name of state.following) {
    // It may be gone with its network.
    if (!bridges.includes(name)) await follow(state, name, false).catch(() => state.following.delete(name))
  }
  logger.info('firewall.in-force', { taps: taps.length, groups: policy.groups.length })
}

/** Of this bridge only: others on the host stay as they are. */
async function follow({ following }: State, bridge: string, isFollowing: boolean): Promise<void> {
  const flag = isFollowing ? '1' : '0'
  const settings = ['nf_call_iptables', flag, 'nf_call_ip6tables', flag]
  await runCommand('ip', ['link', 'set', 'dev', bridge, 'type', 'bridge', ...settings], {
    timeoutMs,
    errorCode: 'network-failed',
  })
  if (isFollowing) following.add(bridge)
  else following.delete(bridge)
}

async function areRulesThere(): Promise<boolean> {
  return runCommand('nft', ['list', 'chain', 'bridge', tableName, 'guard'], { timeoutMs }).then(
    () => true,
    () => false,
  )
}

function keyOf({ tapName, vmId, macAddress, address, address6 }: GuardedTap): string {
  return [tapName, vmId, macAddress, address, address6].join(' ')
}
