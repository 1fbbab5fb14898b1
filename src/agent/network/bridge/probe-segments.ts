/** Which kinds of networks of their own this host's kernel has: found out by making one of each, in a namespace that vanishes at once. */
import { runCommand } from '../../../linux/run-command.ts'
import type { NetworkFaults } from '../../../model/host.ts'

/** Ample: a kernel that is merely slow must not be taken for one that refuses. */
const timeoutMs = 30_000

const underlay = 'link add under0 type veth peer name under1\nlink add bridge0 type bridge\n'
const trunks = {
  vxlan: {
    command: 'link add trunk0 type vxlan id 1 dstport 4789\n',
    lack: 'its kernel has no VXLAN (CONFIG_VXLAN)',
  },
  vlan: {
    command: 'link add link under0 name trunk0 type vlan id 1\n',
    lack: 'its kernel has no VLANs (CONFIG_VLAN_8021Q)',
  },
} as const

/** Why networks of a kind can't be here, for each kind that can't. Leaves nothing behind, and never throws. */
export async function probeSegments(): Promise<NetworkFaults> {
  const words = await refusalOf(underlay)
  if (words !== undefined) {
    const reason = `networks of their own need bridges, veth and network namespaces: ${words}`
    return { vxlan: reason, vlan: reason }
  }
  const [vxlan, vlan] = await Promise.all([faultOf('vxlan'), faultOf('vlan')])
  return { ...(vxlan === undefined ? {} : { vxlan }), ...(vlan === undefined ? {} : { vlan }) }
}

async function faultOf(kind: keyof typeof trunks): Promise<string | undefined> {
  const { command, lack } = trunks[kind]
  const words = await refusalOf(underlay + command)
  if (words === undefined) return undefined
  return /Unknown device type|Operation not supported/.test(words) ? lack : words
}

/** What `ip` says when these devices can't be made; undefined when they can. */
async function refusalOf(input: string): Promise<string | undefined> {
  try {
    await runCommand('unshare', ['--net', 'ip', '-batch', '-'], { timeoutMs, input })
    return undefined
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  }
}
