/**
 * The way between this host and the router of a network of its own: a pair of devices with link-local addresses. By it this host asks the
 * network's machines, in every network, and with an uplink the machines reach what is outside.
 *
 * The host asks each network's machines from another address of its own, which alone says by a rule of its routing which router the
 * question goes to: so machines with the same address in two networks are told apart. They are asked by their router, which they know.
 */
import { writeFile } from 'node:fs/promises'
import { deleteInterface, runIpCommands } from '../../../linux/network-namespace.ts'
import { runCommand } from '../../../linux/run-command.ts'
import type { HostNetwork } from '../../../model/agent-protocol/host-network.ts'
import {
  askingAddress,
  askingPriority,
  askingRange,
  askingTable,
  routerInterface,
  segmentNames,
  uplinkHostAddress,
  uplinkInterface,
  uplinkRange,
  uplinkRouterAddress,
} from './segment-names.ts'

const timeoutMs = 5000
const forwarding = '/proc/sys/net/ipv4/ip_forward'

/** Makes what is missing of it. `handle`: of the router's namespace; `isThere`: its devices are. */
export async function ensureWay(network: HostNetwork, handle: string, isThere: boolean): Promise<void> {
  const { number, uplink, subnet } = network
  const { uplink: outside } = segmentNames(number)
  const inside = uplinkRouterAddress(number)
  const asking = askingAddress(number)
  await runIpCommands([
    ...(isThere ? [] : [`link add dev ${outside} type veth peer name ${uplinkInterface} netns ${handle}`]),
    `address replace ${uplinkHostAddress} peer ${inside} dev ${outside}`,
    `address replace ${asking}/32 dev ${outside}`,
    `link set dev ${outside} up`,
    `route replace ${subnet} via ${inside} dev ${outside} onlink table ${askingTable(number)}`,
  ])
  await runIpCommands([askingRule('add', number)]).catch((error: unknown) => {
    if (!(error instanceof Error && error.message.includes('File exists'))) throw error
  })
  const hasUplink = uplink !== 'none'
  await runIpCommands(
    [
      `address replace ${inside} peer ${uplinkHostAddress} dev ${uplinkInterface}`,
      `link set dev ${uplinkInterface} up`,
      `route replace ${asking}/32 dev ${uplinkInterface}`,
      ...(hasUplink ? [`route replace default via ${uplinkHostAddress} dev ${uplinkInterface}`] : []),
    ],
    { namespace: handle },
  )
  // Each namespace has its own: the router, and this host.
  const inRouter = `echo 1 > ${forwarding} && exec nft -f -`
  await run('nsenter', [`--net=${handle}`, '/bin/sh', '-c', inRouter], routerRules(uplink))
  if (hasUplink) await writeFile(forwarding, '1')
}

/** This host's part, which is the same for all networks. */
export async function ensureHostRules(): Promise<void> {
  await run('nft', ['-f', '-'], hostRules)
}

/** Missing parts are fine. */
export async function removeWay(number: number): Promise<void> {
  await deleteInterface(segmentNames(number).uplink)
  await runIpCommands([askingRule('del', number)]).catch(() => undefined)
}

/** With a priority: without one the kernel takes another one each time, and adds the same rule again and again. */
function askingRule(verb: 'add' | 'del', number: number): string {
  return `rule ${verb} from ${askingAddress(number)} lookup ${askingTable(number)} priority ${askingPriority}`
}

async function run(program: string, args: readonly string[], input: string): Promise<void> {
  await runCommand(program, args, { timeoutMs, errorCode: 'network-failed', input })
}

/** Declared, then deleted, then declared anew: in one transaction, whatever was there. */
const noRules = `
table ip dialtone_uplinks
delete table ip dialtone_uplinks
`

/**
 * What this host asks comes from the gateway, which every machine can answer. What leaves by NAT has the router's address on the way out, so
 * that this host never sees two networks' machines with one address; without an uplink nothing but answers leaves.
 */
function routerRules(uplink: HostNetwork['uplink']): string {
  const nat = uplink === 'nat' ? `oifname "${uplinkInterface}" masquerade` : ''
  const closed = `
  chain between {
    type filter hook forward priority filter
    iifname "${routerInterface}" ct state != { established, related } drop
  }`
  return `${noRules}
table ip dialtone_uplinks {${uplink === 'none' ? closed : ''}
  chain leave {
    type nat hook postrouting priority srcnat
    ip saddr ${askingRange} oifname "${routerInterface}" masquerade
    ${nat}
  }
}
`
}

/** What leaves this host has the host's address; nothing gets to the host itself, or from one network's router to another's. */
const hostRules = `${noRules}
table ip dialtone_uplinks {
  chain between {
    type filter hook forward priority filter
    iifname "dtu*" oifname "dtu*" ip saddr ${uplinkRange} drop
    iifname "dtu*" ip daddr ${uplinkRange} ct state new drop
  }
  chain here {
    type filter hook input priority filter
    iifname "dtu*" ct state new drop
  }
  chain leave {
    type nat hook postrouting priority srcnat
    ip saddr ${uplinkRange} oifname != "dtu*" masquerade
  }
}
`
