/**
 * The firewall on real bridges: a host with two guests on ports that are named as taps, and somebody outside. What a guest sends is
 * seen where it would arrive. Needs root and perl, which sends frames byte by byte.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, beforeEach, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type FirewallWorld,
  groupId,
  policyFor,
  tapOf,
  testFirewall,
} from '../../src/agent/firewall/firewall.contract.ts'
import type { FirewallAbility } from '../../src/agent/firewall/firewall.ts'
import { addNetworkNamespace, deleteNetworkNamespace, runIpCommands } from '../../src/linux/network-namespace.ts'
import { runCommand } from '../../src/linux/run-command.ts'
import { DialtoneError } from '../../src/model/dialtone-error.ts'
import type { FilterRule, HostFirewall } from '../../src/model/firewall.ts'
import { listenerProgram, senderProgram } from '../raw-frames.ts'
import { arp, ethernet, icmp6, type Sender, udp } from './firewall.frames.ts'

const prefix = `dtf${process.pid}`
const [host, web, shop, outside] = [`${prefix}h`, `${prefix}1`, `${prefix}2`, `${prefix}x`] as const
const webSender: Sender = { mac: tapOf(1).macAddress, address: tapOf(1).address }
const outsideAddress = '10.90.9.9'
const children = new Set<ChildProcess>()

before(async () => {
  for (const namespace of [host, web, shop, outside]) await addNetworkNamespace(namespace)
  await runIpCommands(['link add br0 type bridge', 'link set br0 up', 'address add 10.90.1.1/16 dev br0'], {
    namespace: host,
  })
  // As most hosts have it: bridged packets are no business of the host's own firewall.
  await inside(host, ['sh', '-c', 'for set in /proc/sys/net/bridge/bridge-nf-call-ip*; do echo 0 > $set; done'])
  for (const [port, guest, mac, address] of [
    ['dt1', web, tapOf(1).macAddress, tapOf(1).address],
    ['dt2', shop, tapOf(2).macAddress, tapOf(2).address],
    ['up0', outside, '52:54:00:00:00:99', outsideAddress],
  ] as const) {
    await runIpCommands(
      [`link add ${port} type veth peer name eth0 netns ${guest}`, `link set ${port} master br0 up`],
      { namespace: host },
    )
    await runIpCommands([`link set eth0 address ${mac} up`, `address add ${address}/16 dev eth0`], { namespace: guest })
  }
})

beforeEach(async () => {
  // What a spoofed question has told them.
  for (const namespace of [web, shop, outside]) await runIpCommands(['neighbour flush dev eth0'], { namespace })
  for (const family of ['bridge', 'inet'])
    await inside(host, ['nft', `delete table ${family} dialtone`]).catch(() => '')
})

after(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const namespace of [host, web, shop, outside]) await deleteNetworkNamespace(namespace)
})

testFirewall('nftables', async (t, kind) => {
  const firewall = await startFirewall(t, kind === 'able' ? undefined : 'stateless')
  const named = (chain: RegExp) => async () => {
    const listed = await inside(host, ['nft', 'list', 'table', 'bridge', 'dialtone']).catch(() => '')
    return [...listed.matchAll(chain)].map(([, tap = '']) => tap).sort()
  }
  return { firewall, guardedTaps: named(/chain from-(\S+)/g), filteredTaps: named(/chain to-(\S+)/g) }
})

test('this kernel can keep security groups, one way or the other', async (t) => {
  const { ability } = await startFirewall(t)
  assert.match(ability.kind, /^bridge-(?:conntrack|netfilter)$/, ability.detail)
})

test('a host without nftables says so, guards nothing and refuses machines with groups', async (t) => {
  const { ability, guard, setPolicy } = await startFirewall(t, undefined, '/nowhere')
  assert.equal(ability.kind, 'none')
  assert.match(ability.detail, /nft/)
  await setPolicy(policyFor(1))
  await guard(tapOf(2))
  await assert.rejects(guard(tapOf(1)), /can't keep the security groups of vm-aaaaaaaa: nothing is filtered/)
})

test('a machine speaks under its own addresses only, and never as a router or a DHCP server', async (t) => {
  const { guard } = await startFirewall(t)
  const other: Sender = { mac: tapOf(2).macAddress, address: tapOf(2).address }
  const { mac, address } = webSender
  const own6 = 'fe80000000000000505400fffe000001'
  const other6 = 'fe80000000000000505400fffe000002'
  const toOthers = { to: outsideAddress, fromPort: 1000, toPort: 2000 }
  const honest = {
    'ARP question': arp(webSender, outsideAddress),
    'ARP question whether its address is free': arp(webSender, address, { address: '0.0.0.0' }),
    'UDP from its address': udp(webSender, toOthers),
    'DHCP discover without an address': udp(
      { mac, address: '0.0.0.0' },
      { to: '255.255.255.255', fromPort: 68, toPort: 67 },
    ),
    'announcement of its MAC': ethernet(mac, 'rarp', Buffer.alloc(50)),
    'neighbour solicitation from its link-local address': icmp6(mac, { type: 135, from: own6, about: other6 }),
    'neighbour solicitation before it has an address': icmp6(mac, { type: 135, from: '0'.repeat(32), about: own6 }),
    'neighbour advertisement of itself': icmp6(mac, { type: 136, from: own6 }),
  }
  const dishonest = {
    'another MAC': udp({ mac: other.mac, address }, toOthers),
    'another IPv4 address': udp({ mac, address: other.address }, toOthers),
    'no IPv4 address, but for DHCP': udp({ mac, address: '0.0.0.0' }, toOthers),
    'ARP for another address': arp(webSender, outsideAddress, { address: other.address }),
    'ARP under another MAC': arp(webSender, outsideAddress, { mac: other.mac }),
    'DHCP answer': udp(webSender, { to: '255.255.255.255', fromPort: 67, toPort: 68 }),
    'router advertisement': icmp6(mac, { type: 134, from: own6 }),
    redirect: icmp6(mac, { type: 137, from: own6 }),
    'another IPv6 address': icmp6(mac, { type: 135, from: other6, about: own6 }),
    'neighbour advertisement of another': icmp6(mac, { type: 136, from: own6, about: other6 }),
    'tagged frame': ethernet(
      mac,
      'vlan',
      Buffer.concat([Buffer.from('00010800', 'hex'), udp(webSender, { ...toOthers, toPort: 2001 }).subarray(14)]),
    ),
    'another protocol': ethernet(mac, 'other', Buffer.alloc(50)),
  }
  const all = { ...honest, ...dishonest }
  await guard(tapOf(1))
  assert.deepEqual(await arrive(web, all), Object.keys(honest))
  // The measurement can fail: without the firewall all of them arrive.
  await inside(host, ['nft', 'delete table bridge dialtone'])
  assert.deepEqual(await arrive(web, all), Object.keys(all))
})

test('a tap of ours that is not guarded passes nothing, and other ports of the bridge pass all', async (t) => {
  const { guard } = await startFirewall(t)
  await guard(tapOf(2))
  assert.deepEqual(await arrive(web, { one: udp(webSender, { to: outsideAddress, fromPort: 1, toPort: 2 }) }), [])
  const foreign: Sender = { mac: '52:54:00:00:77:77', address: '10.90.77.77' }
  const frames = { foreign: udp(foreign, { to: tapOf(2).address, fromPort: 1, toPort: 2 }) }
  assert.deepEqual(await arrive(outside, frames, shop), ['foreign'])
})

test('the rules outlive the agent, and come back when something else on the host has flushed them', async (t) => {
  const { guard, kill } = await startFirewall(t)
  await guard(tapOf(1))
  const spoofed = {
    spoofed: udp({ ...webSender, address: '10.90.0.77' }, { to: outsideAddress, fromPort: 1, toPort: 2 }),
  }
  await kill()
  assert.deepEqual(await arrive(web, spoofed), [])
  const { adopt } = await startFirewall(t)
  await adopt([tapOf(1)])
  await inside(host, ['nft', 'flush', 'ruleset'])
  await delay(1000)
  assert.deepEqual(await arrive(web, spoofed), [])
})

test('closed ports are blocked, open ones pass, and answers to what the machine asks come back', async (t) => {
  const { guard, setPolicy } = await startFirewall(t)
  await guard(tapOf(1))
  await guard(tapOf(2))
  await serve(t, web, 80, 81)
  await serve(t, outside, 90)
  assert.deepEqual(await connections(outside, '80', '81'), ['open', 'open'], 'without a group')
  await setPolicy(policyFor(1))
  assert.deepEqual(await connections(outside, '80', '81'), ['open', 'closed'], 'from outside')
  assert.deepEqual(await connections(shop, '80', '81'), ['open', 'closed'], 'from a machine of the same host')
  assert.deepEqual(await connections(host, '80', '81'), ['open', 'open'], 'from its own host, where its probe is')
  assert.equal((await connect(t, web, `${outsideAddress}:90`)).answer, 'open', 'what it asks is answered')
  await setPolicy(policyFor())
  assert.deepEqual(await connections(outside, '80', '81'), ['open', 'open'], 'open again')
})

test('an open connection goes on when its port is closed; a new one is refused', async (t) => {
  const { guard, setPolicy } = await startFirewall(t)
  await guard(tapOf(1))
  await serve(t, web, 80)
  await setPolicy(policyFor(1))
  const connection = await connect(t, outside, `${tapOf(1).address}:80`)
  assert.equal(await connection.say('first'), 'first')
  await setPolicy(policyOf([]))
  assert.equal(await connection.say('second'), 'second')
  assert.deepEqual(await connections(outside, '80'), ['closed'])
})

test('sources and destinations are told apart by address', async (t) => {
  const { guard, setPolicy } = await startFirewall(t)
  await guard(tapOf(1))
  await guard(tapOf(2))
  await serve(t, web, 80)
  await serve(t, outside, 90)
  const fromShop: FilterRule = { direction: 'in', protocol: 'tcp', ports: [], peers: [tapOf(2).address] }
  await setPolicy(policyOf([fromShop]))
  assert.deepEqual(await connections(shop, '80'), ['open'])
  assert.deepEqual(await connections(outside, '80'), ['closed'])
  await setPolicy(policyOf([{ direction: 'out', protocol: 'tcp', ports: [], peers: [tapOf(2).address] }]))
  assert.equal((await connect(t, web, `${outsideAddress}:90`)).answer, 'closed')
  await setPolicy(
    policyOf([{ direction: 'out', protocol: 'tcp', ports: [{ from: 90, to: 99 }], peers: ['10.90.9.0/24'] }]),
  )
  assert.equal((await connect(t, web, `${outsideAddress}:90`)).answer, 'open')
})

test('the strictest rules leave a machine its ARP, DHCP and neighbour discovery', async (t) => {
  const { guard, setPolicy } = await startFirewall(t)
  await guard(tapOf(1))
  await setPolicy(policyOf([{ direction: 'out', protocol: 'tcp', ports: [], peers: [] }]))
  const { mac } = webSender
  const own6 = 'fe80000000000000505400fffe000001'
  const needed = {
    'ARP question': arp(webSender, outsideAddress),
    'DHCP discover': udp({ mac, address: '0.0.0.0' }, { to: '255.255.255.255', fromPort: 68, toPort: 67 }),
    'neighbour solicitation': icmp6(mac, { type: 135, from: own6, about: own6 }),
  }
  const closed = { closed: udp(webSender, { to: outsideAddress, fromPort: 1000, toPort: 2000 }) }
  assert.deepEqual(await arrive(web, { ...needed, ...closed }), Object.keys(needed))
  const router: Sender = { mac: '52:54:00:00:00:99', address: outsideAddress }
  const offered = {
    'DHCP offer': udp(router, { to: '255.255.255.255', fromPort: 67, toPort: 68 }),
    'ARP answer': arp(router, tapOf(1).address),
    'router advertisement of the network': icmp6(router.mac, { type: 134, from: 'fe800000000000000000000000000099' }),
  }
  const unwanted = { unwanted: udp(router, { to: '255.255.255.255', fromPort: 1000, toPort: 2000 }) }
  assert.deepEqual(await arrive(outside, { ...offered, ...unwanted }, web), Object.keys(offered))
})

type RunningFirewall = FirewallWorld['firewall'] & { readonly ability: FirewallAbility; kill(): Promise<void> }

/** In the host's namespace; `kind` instead of the probed one. */
async function startFirewall(
  t: TestContext,
  kind?: string,
  path = process.env['PATH'] ?? '',
): Promise<RunningFirewall> {
  const program = join(import.meta.dirname, 'firewall.driver.ts')
  const options = JSON.stringify({ bridge: 'br0', hostAddress: '10.90.1.1', watchMs: 200 })
  const { child, nextLine } = startInside(t, host, [
    '/usr/bin/env',
    `PATH=${path}`,
    process.execPath,
    program,
    options,
    ...(kind === undefined ? [] : [kind]),
  ])
  const read = async () => {
    const { result, error } = JSON.parse(await nextLine())
    if (error !== undefined) throw new DialtoneError(error.code, error.message)
    return result
  }
  const ability: FirewallAbility = await read()
  // One after the other: the program tells its answers in the order of the calls.
  let calls: Promise<unknown> = Promise.resolve()
  const call = (name: string, argument: unknown): Promise<void> => {
    const answer = calls.then(() => {
      child.stdin?.write(`${JSON.stringify({ call: name, argument })}\n`)
      return read()
    })
    calls = answer.catch(() => undefined)
    return answer
  }
  return {
    ability,
    guard: (tap) => call('guard', tap),
    forget: (tapName) => call('forget', tapName),
    adopt: (taps) => call('adopt', taps),
    setPolicy: (policy) => call('setPolicy', policy),
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** Machine 1 has a group with these rules. */
function policyOf(rules: readonly FilterRule[]): HostFirewall {
  return { ...policyFor(1), groups: [{ id: groupId, rules: [...rules] }] }
}

/** Sends the frames from one namespace and answers which of them were seen in another one, in the order in which they were given. */
async function arrive(from: string, frames: Readonly<Record<string, Buffer>>, at: string = outside): Promise<string[]> {
  const sent = Object.values(frames).map((frame) => frame.toString('hex'))
  const listener = spawnInside(at, ['perl', '-e', listenerProgram('eth0', 1)])
  const lines = createInterface(listener.stdout)[Symbol.asyncIterator]()
  await lines.next()
  await inside(from, ['perl', '-e', senderProgram('eth0'), ...sent])
  const seen = new Set<string>()
  for (;;) {
    const { value, done } = await lines.next()
    if (done === true || typeof value !== 'string') break
    seen.add(value)
  }
  return Object.keys(frames).filter((_label, index) => seen.has(untagged(sent[index] ?? '')))
}

/** As a receiver is shown it: the kernel takes the tag off. */
function untagged(frame: string): string {
  return frame.slice(24, 28) === '8100' ? frame.slice(0, 24) + frame.slice(32) : frame
}

async function serve(t: TestContext, namespace: string, ...ports: readonly number[]): Promise<void> {
  const { nextLine } = startGuest(t, namespace, ['serve', ...ports.map(String)])
  assert.equal(await nextLine(), 'ready')
}

type Connection = { readonly answer: string; say(line: string): Promise<string> }

async function connect(t: TestContext, namespace: string, to: string): Promise<Connection> {
  const { child, nextLine } = startGuest(t, namespace, ['ask', ...to.split(':')])
  const answer = await nextLine()
  return {
    answer,
    async say(line) {
      child.stdin?.write(`${line}\n`)
      return Promise.race([nextLine(), delay(2000, 'no answer')])
    },
  }
}

/** Whether these ports of the first machine are open from there. */
async function connections(namespace: string, ...ports: readonly string[]): Promise<string[]> {
  return Promise.all(
    ports.map(async (port) => {
      const words = [process.execPath, guestProgram, 'ask', tapOf(1).address, port]
      return (await runCommand('nsenter', [`--net=/run/netns/${namespace}`, ...words], { timeoutMs: 10_000 })).trim()
    }),
  )
}

const guestProgram = join(import.meta.dirname, 'firewall.guest.ts')

function startGuest(t: TestContext, namespace: string, words: readonly string[]) {
  return startInside(t, namespace, [process.execPath, guestProgram, ...words])
}

/** A program that ends with the test at the latest. */
function startInside(t: TestContext, namespace: string, words: readonly string[]) {
  const child = spawnInside(namespace, words)
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const nextLine = async (): Promise<string> => {
    const { value } = await lines.next()
    assert.ok(typeof value === 'string', `${words.join(' ')} ended`)
    return value
  }
  return { child, nextLine }
}

function spawnInside(namespace: string, words: readonly string[]) {
  const child = spawn('nsenter', [`--net=/run/netns/${namespace}`, ...words], { stdio: ['pipe', 'pipe', 'ignore'] })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

function inside(namespace: string, words: readonly string[]): Promise<string> {
  return runCommand('nsenter', [`--net=/run/netns/${namespace}`, ...words], { timeoutMs: 10_000 })
}
