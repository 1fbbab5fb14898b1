/** What this host's kernel can filter on a bridge: found out by asking it, since kernels differ and say so only when they are given a rule. */
import { access } from 'node:fs/promises'
import { runCommand } from '../../../linux/run-command.ts'
import type { FirewallAbility } from '../firewall.ts'

/** Ample: a kernel that is merely slow must not be taken for one that refuses. */
const timeoutMs = 30_000
const bridgeCallsIp = '/proc/sys/net/bridge/bridge-nf-call-iptables'

/** Changes nothing: the rules are only checked. Never throws. */
export async function probeFirewall(): Promise<FirewallAbility> {
  const unfiltered = await refusalOf('bridge', 'prerouting', 'iifname "dt1*" ether saddr 52:54:00:00:00:01 accept')
  if (unfiltered !== undefined) return { kind: 'none', detail: `nothing is filtered on the bridge: ${unfiltered}` }
  if ((await refusalOf('bridge', 'forward', 'ct state established accept')) === undefined)
    return { kind: 'bridge-conntrack', detail: 'nftables on the bridge, which follows connections itself' }
  const unfollowed = await refusalOf('inet', 'prerouting', 'ct state established meta mark set 1')
  const isCalled = await access(bridgeCallsIp).then(
    () => true,
    () => false,
  )
  if (unfollowed === undefined && isCalled)
    return { kind: 'bridge-netfilter', detail: 'nftables on the bridge; connections are followed by br_netfilter' }
  const lack = unfollowed ?? `there is no ${bridgeCallsIp} (the module br_netfilter)`
  return { kind: 'stateless', detail: `connections on the bridge can't be followed: ${lack}` }
}

/** Why the kernel wouldn't take this rule; undefined when it would. */
async function refusalOf(family: 'bridge' | 'inet', hook: string, rule: string): Promise<string | undefined> {
  const input = `table ${family} dialtone-probe {\n  chain probe {\n    type filter hook ${hook} priority 0;\n    ${rule}\n  }\n}\n`
  try {
    await runCommand('nft', ['--check', '--file', '-'], { timeoutMs, input })
    return undefined
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  }
}
