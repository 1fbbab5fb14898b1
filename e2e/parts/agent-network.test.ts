/** The bridge network with real namespaces: two hosts on one segment, guests that speak DHCP. Needs root and cgroup v2. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, beforeEach, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { cardOf, failsWith, networkOf, testNetwork } from '../../src/agent/network/network.contract.ts'
import type { Network } from '../../src/agent/network/network.ts'
import { findCgroupMount, killCgroupAndWait, processesIn, removeCgroup } from '../../src/linux/cgroup.ts'
import { mountsBelow, unmount } from '../../src/linux/mounts.ts'
import {
  addNetworkNamespace,
  deleteInterface,
  deleteNetworkNamespace,
  runIpCommands,
} from '../../src/linux/network-namespace.ts'
import { runCommand } from '../../src/linux/run-command.ts'
import { DialtoneError } from '../../src/model/dialtone-error.ts'
import type { DhcpQuestion, DhcpReply } from './agent-network.probe.ts'

const prefix = `dtn${process.pid}`
const [hostA, hostB, guest] = [`${prefix}a`, `${prefix}b`, `${prefix}g`]
const drivers = new Set<ChildProcess>()
let directory = ''
let cgroups = ''

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dialtone-network-'))
  // dnsmasq gives up its rights and must still be able to walk to its files.
  await runCommand('chmod', ['755', directory], { timeoutMs: 5000 })
  const mount = await findCgroupMount()
  assert.ok(mount !== undefined, 'cgroup v2 is mounted')
  cgroups = join(mount, prefix)
  for (const namespace of [hostA, hostB, guest]) await addNetworkNamespace(namespace)
  await runIpCommands(
    [
      `link add ab type veth peer name ba netns ${hostB}`,
      'link add br0 type bridge',
      'link set ab master br0 up',
      'link set br0 up',
      `link add ag type veth peer name eth0 netns ${guest}`,
      'link set ag master br0 up',
    ],
    { namespace: hostA },
  )
  await runIpCommands(['link add br0 type bridge', 'link set ba master br0 up', 'link set br0 up'], {
    namespace: hostB,
  })
  await runIpCommands(
    [
      'link set eth0 up',
      'address add 10.90.9.9/16 dev eth0',
      // A machine that renews has its address, and the answer is sent to it.
      'address add 10.90.0.11/16 dev eth0',
      'route add default dev eth0',
    ],
    { namespace: guest },
  )
})

beforeEach(async () => {
  for (const host of [hostA, hostB]) await emptyHost(host)
})

after(async () => {
  for (const driver of drivers) driver.kill('SIGKILL')
  for (const host of [hostA, hostB]) await killCgroupAndWait(join(cgroups, host), 5000)
  for (const handle of await mountsBelow(directory)) await unmount(handle)
  await removeCgroup(cgroups)
  for (const namespace of [hostA, hostB, guest]) await deleteNetworkNamespace(namespace)
  await rm(directory, { recursive: true, force: true })
})

testNetwork('bridge network', async (t) => {
  const { network } = await startDriver(t, hostA)
  return { network, answeredMacs }
})

test('bridge network: of two hosts on one segment each answers for its own machines only', async (t) => {
  const [a, b] = await Promise.all([startDriver(t, hostA), startDriver(t, hostB)])
  await Promise.all([a.network.connect(cardOf(1)), b.network.connect(cardOf(2))])
  const replies = await ask([1, 2, 3].map((number) => ({ mac: cardOf(number).macAddress, kind: 'discover' })))
  assert.deepEqual(replies, [
    { mac: cardOf(1).macAddress, kind: 'offer', address: '10.90.0.11', server: '10.90.1.1' },
    { mac: cardOf(2).macAddress, kind: 'offer', address: '10.90.0.12', server: '10.90.1.2' },
  ])
})

test('bridge network: a machine that moved keeps its address, and its old host is silent', async (t) => {
  const [a, b] = await Promise.all([startDriver(t, hostA), startDriver(t, hostB)])
  await a.network.connect(cardOf(1))
  const acknowledged = (server: string) => [{ mac: cardOf(1).macAddress, kind: 'ack', address: '10.90.0.11', server }]
  const reboot = { mac: cardOf(1).macAddress, kind: 'reboot', address: '10.90.0.11' } as const
  const renew = { ...reboot, kind: 'renew' } as const
  assert.deepEqual(await ask([reboot]), acknowledged('10.90.1.1'))
  assert.deepEqual(await ask([renew]), acknowledged('10.90.1.1'))
  await b.network.connect(cardOf(1))
  await a.network.disconnect(cardOf(1))
  assert.deepEqual(await ask([renew]), acknowledged('10.90.1.2'))
})

test('bridge network: requests of unknown machines are not refused, since another host may know them', async (t) => {
  const { network } = await startDriver(t, hostA)
  await network.connect(cardOf(1))
  const unknown = cardOf(5).macAddress
  const address = '10.90.0.11'
  assert.deepEqual(await ask([{ mac: unknown, kind: 'renew', address }]), [])
  assert.deepEqual(await ask([{ mac: unknown, kind: 'reboot', address: '10.90.0.15' }]), [])
})

test('bridge network: the DHCP server goes on through changes after it has served machines', async (t) => {
  const { network } = await startDriver(t, hostA)
  await network.connect(cardOf(1))
  const serverBefore = await processesIn(join(cgroups, hostA, 'dnsmasq'))
  assert.equal(serverBefore.length, 1)
  for (const number of [2, 3, 4]) {
    await ask([{ mac: cardOf(1).macAddress, kind: 'reboot', address: '10.90.0.11' }])
    await network.connect(cardOf(number))
  }
  await network.disconnect(cardOf(1))
  assert.deepEqual(await answeredMacs(), [cardOf(2).macAddress, cardOf(3).macAddress])
  assert.deepEqual(await processesIn(join(cgroups, hostA, 'dnsmasq')), serverBefore)
})

test('bridge network: an address is free for another machine as soon as the first one left', async (t) => {
  const { network } = await startDriver(t, hostA)
  await network.connect(cardOf(1))
  await ask([{ mac: cardOf(1).macAddress, kind: 'reboot', address: '10.90.0.11' }])
  await network.disconnect(cardOf(1))
  await network.connect({ ...cardOf(2), address: '10.90.0.11' })
  const [offer] = await ask([{ mac: cardOf(2).macAddress, kind: 'discover' }])
  assert.deepEqual([offer?.kind, offer?.address], ['offer', '10.90.0.11'])
})

test('bridge network: DHCP outlives a killed agent, and the next agent takes it over with its entries', async (t) => {
  const first = await startDriver(t, hostA)
  await first.network.connect(cardOf(1))
  const [serverBefore] = await processesIn(join(cgroups, hostA, 'dnsmasq'))
  await first.kill()
  assert.deepEqual(await answeredMacs(), [cardOf(1).macAddress])
  const second = await startDriver(t, hostA)
  await second.network.connect(cardOf(2))
  assert.deepEqual(await answeredMacs(), [cardOf(1).macAddress, cardOf(2).macAddress])
  await second.network.adopt([cardOf(1)])
  assert.deepEqual(await processesIn(join(cgroups, hostA, 'dnsmasq')), [serverBefore])
  assert.deepEqual([...(await second.network.listTaps())].sort(), ['dt1', 'dt2'])
})

test('bridge network: a DHCP server that died is started again, and renews what it never granted', async (t) => {
  const { network } = await startDriver(t, hostA)
  await network.connect(cardOf(1))
  await killCgroupAndWait(join(cgroups, hostA, 'dnsmasq'), 5000)
  for (let waitedMs = 0; (await processesIn(join(cgroups, hostA, 'dnsmasq'))).length === 0; waitedMs += 20) {
    assert.ok(waitedMs < 3000, 'started within 3 s')
    await delay(20)
  }
  await delay(100)
  const [reply] = await ask([{ mac: cardOf(1).macAddress, kind: 'renew', address: '10.90.0.11' }])
  assert.equal(reply?.kind, 'ack')
})

test('bridge network: a guest is told its address, name, router and MTU, and no name server', async (t) => {
  const { network } = await startDriver(t, hostA)
  await network.connect(cardOf(1))
  const script = join(directory, 'udhcpc.sh')
  await writeFile(script, '#!/bin/sh\n[ "$1" = bound ] && env\nexit 0\n', { mode: 0o755 })
  await runIpCommands(
    [`link add mac1 link eth0 type macvlan mode bridge`, `link set mac1 address ${cardOf(1).macAddress} up`],
    {
      namespace: guest,
    },
  )
  t.after(() => runIpCommands(['link del mac1'], { namespace: guest }))
  const udhcpc = ['busybox', 'udhcpc', '-f', '-q', '-n', '-t', '5', '-T', '1', '-O', 'mtu', '-i', 'mac1', '-s', script]
  const facts = await runCommand('nsenter', [`--net=/run/netns/${guest}`, ...udhcpc], { timeoutMs: 10_000 })
  assert.match(facts, /^ip=10\.90\.0\.11$/m)
  assert.match(facts, /^hostname=web-1$/m)
  assert.match(facts, /^router=10\.90\.0\.1$/m)
  assert.match(facts, /^mask=16$/m)
  assert.match(facts, /^mtu=1450$/m)
  assert.match(facts, /^lease=600$/m)
  assert.doesNotMatch(facts, /^dns=/m)
})

test('bridge network: networks of their own outlive a killed agent, and what the next one is not told of goes', async (t) => {
  const first = await startDriver(t, hostA)
  const wanted = { ...networkOf(1), uplink: 'nat' as const, prefix6: 'fd00:90::/64' }
  await first.network.configure([wanted, networkOf(2)])
  await first.network.connect({ ...cardOf(1), networkId: wanted.networkId })
  const [serverBefore] = await processesIn(join(cgroups, hostA, 'dnsmasq-1'))
  assert(serverBefore !== undefined)
  await first.kill()
  const linksBefore = await linksOf(hostA)
  assert.deepEqual(
    ['dtn1', 'dtx1', 'dtr1', 'dtu1', 'dtn2', 'dt1'].filter((name) => !linksBefore.has(name)),
    [],
  )
  const second = await startDriver(t, hostA)
  await second.network.configure([wanted])
  await second.network.adopt([{ ...cardOf(1), networkId: wanted.networkId }])
  assert.deepEqual(await processesIn(join(cgroups, hostA, 'dnsmasq-1')), [serverBefore])
  const links = await linksOf(hostA)
  for (const name of ['dtn1', 'dtx1', 'dtr1', 'dtu1', 'dt1', 'br0', 'ab'])
    assert.equal(links.get(name), linksBefore.get(name), `${name} is the one that was there`)
  assert.deepEqual(
    [...links.keys()].filter((name) => /^dt[nxru]2$/.test(name)),
    [],
  )
  await second.network.configure([])
  assert((await linksOf(hostA)).has('dtn1'), 'a network stays while a machine is plugged in')
  await second.network.removeTap('dt1')
  await second.network.configure([])
  assert.deepEqual(
    [...(await linksOf(hostA)).keys()].filter((name) => name.startsWith('dt')),
    [],
  )
})

test('bridge network: a host reaches its machines in a routed network, with their own addresses, until they leave', async (t) => {
  const { network } = await startDriver(t, hostA)
  const routed = { ...networkOf(1), uplink: 'routed' as const }
  const card = { ...cardOf(1), address: '10.90.0.77', networkId: routed.networkId }
  await network.configure([routed])
  await network.connect(card)
  const machine = `${prefix}m`
  await addNetworkNamespace(machine)
  t.after(() => deleteNetworkNamespace(machine))
  await runIpCommands([`link add g1 type veth peer name eth0 netns ${machine}`, 'link set g1 master dtn1 up'], {
    namespace: hostA,
  })
  await runIpCommands(
    ['link set eth0 up', 'address add 10.90.0.77/24 dev eth0', 'route add default via 10.90.0.1 dev eth0'],
    { namespace: machine },
  )
  const reaches = (from: string, address: string) => {
    return inside(from, ['busybox', 'ping', '-c', '1', '-W', '1', address]).then(
      () => true,
      () => false,
    )
  }
  assert(await reaches(hostA, '10.90.0.77'), 'the host reaches the machine')
  assert(!(await reaches(machine, '10.90.1.1')), 'the machine does not reach the host')
  await network.disconnect(card)
  assert(!(await reaches(hostA, '10.90.0.77')), 'nothing is sent there any more')
})

test('bridge network: a host asks machines with the same address in two networks, and they reach nothing of it', async (t) => {
  const { network } = await startDriver(t, hostA)
  const networks = [networkOf(1), networkOf(2)]
  await network.configure(networks)
  const answers: string[] = []
  const listenTo =
    'const [localAddress, host] = process.argv.slice(1); net.connect({ localAddress, host, port: 80 }).pipe(process.stdout)'
  for (const { number, networkId } of networks) {
    const machine = `${prefix}m${number}`
    await addNetworkNamespace(machine)
    t.after(() => deleteNetworkNamespace(machine))
    await runIpCommands(
      [`link add g${number} type veth peer name eth0 netns ${machine}`, `link set g${number} master dtn${number} up`],
      { namespace: hostA },
    )
    // It doesn't know any other way than its own network, as a machine without an uplink.
    await runIpCommands(['link set eth0 up', 'address add 10.90.0.77/24 dev eth0'], { namespace: machine })
    const say = ['busybox', 'nc', '-l', '-p', '80', '-e', '/bin/echo', '-n', machine]
    const server = spawn('nsenter', [`--net=/run/netns/${machine}`, ...say], { stdio: 'ignore' })
    t.after(() => server.kill('SIGKILL'))
    const { askFrom } = await network.settingsOf(networkId)
    assert(askFrom !== null)
    answers.push(await inside(hostA, [process.execPath, '--eval', listenTo, askFrom, '10.90.0.77']))
    // It tries all the same, by the router that it has heard of.
    await runIpCommands(['route add default via 10.90.0.1'], { namespace: machine })
    for (const target of [askFrom, '10.90.1.1', '169.254.0.1'])
      await assert.rejects(inside(machine, ['busybox', 'ping', '-c', '1', '-W', '1', target]), target)
  }
  assert.deepEqual(answers, [`${prefix}m1`, `${prefix}m2`])
  // It is looked through again and again.
  await delay(500)
  assert.equal([...(await inside(hostA, ['ip', 'rule'])).matchAll(/169\.254/g)].length, networks.length)
  await network.configure([])
  assert.doesNotMatch(await inside(hostA, ['ip', 'rule']), /169\.254/)
})

test('bridge network: a VLAN is made, or the host says that its kernel has none', async (t) => {
  const { network } = await startDriver(t, hostA)
  const trial = 'link add link ab name trial type vlan id 9'
  const hasVlans = await runIpCommands([trial, 'link del trial'], { namespace: hostA }).then(
    () => true,
    () => false,
  )
  const vlan = { ...networkOf(3), segment: { kind: 'vlan' as const, vlanId: 9, interface: 'ab' } }
  await network.configure([vlan, networkOf(1)])
  const connected = network.connect({ ...cardOf(3), networkId: vlan.networkId })
  if (hasVlans) await connected
  else await assert.rejects(connected, failsWith('network-failed', /its kernel has no VLANs/))
  await network.connect({ ...cardOf(1), networkId: networkOf(1).networkId })
})

test('bridge network: without its bridge, a host says so', async (t) => {
  const { network } = await startDriver(t, hostA, { bridge: 'br7' })
  await assert.rejects(network.connect(cardOf(1)), /bridge br7 does not exist/)
})

test("bridge network: a host whose address is not in the machines' network says so", async (t) => {
  const { network } = await startDriver(t, hostA, { hostAddress: '10.91.1.1' })
  await assert.rejects(network.adopt([]), /10\.91\.1\.1 is not in the machines' network/)
})

type Driver = { readonly network: Network; kill(): Promise<void> }

/** A driver in the host's namespace. */
async function startDriver(
  t: TestContext,
  host: string,
  { bridge = 'br0', hostAddress = host === hostA ? '10.90.1.1' : '10.90.1.2' } = {},
): Promise<Driver> {
  const runDirectory = join(directory, host)
  const cgroupDirectory = join(cgroups, host)
  await mkdir(cgroupDirectory, { recursive: true })
  const options = {
    bridge,
    runDirectory,
    cgroupDirectory,
    subnet: host === hostA ? '10.90.0.0' : '10.90.0.0/16',
    prefixLength: 16,
    gateway: '10.90.0.1',
    hostAddress,
    leaseSeconds: 600,
    mtu: 1450,
    watchMs: 200,
    waitMs: 300,
    repairMs: 200,
  }
  const program = join(import.meta.dirname, 'agent-network.driver.ts')
  const args = [`--net=/run/netns/${host}`, process.execPath, program, JSON.stringify(options)]
  const child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'ignore'] })
  drivers.add(child)
  const exited = once(child, 'exit')
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
    drivers.delete(child)
  }
  t.after(kill)
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]()
  const call = async (name: string, argument: unknown = null) => {
    child.stdin.write(`${JSON.stringify({ call: name, argument })}\n`)
    const { value } = await answers.next()
    assert.ok(typeof value === 'string', 'the driver ended')
    const { result, error } = JSON.parse(value)
    if (error !== undefined) throw new DialtoneError(error.code, error.message)
    return result
  }
  return {
    kill,
    network: {
      settingsOf: (networkId) => call('settingsOf', networkId),
      configure: (networks) => call('configure', networks),
      connect: (card) => call('connect', card),
      prepareTap: (card) => call('prepareTap', card),
      plug: (card) => call('plug', card),
      removeTap: (tapName) => call('removeTap', tapName),
      disconnect: (card) => call('disconnect', card),
      limit: (tapNames, mbitPerSecond) => call('limit', [tapNames, mbitPerSecond]),
      listTaps: () => call('listTaps'),
      adopt: (cards) => call('adopt', cards),
    },
  }
}

/** What a command prints that runs in this namespace. */
function inside(namespace: string, command: readonly string[]): Promise<string> {
  return runCommand('nsenter', [`--net=/run/netns/${namespace}`, ...command], { timeoutMs: 5000 })
}

/** Interfaces of the host by name, with their index: one that was made anew has another one. */
async function linksOf(host: string): Promise<ReadonlyMap<string, number>> {
  const args = [`--net=/run/netns/${host}`, 'ip', '-json', 'link', 'show']
  const links: { ifname: string; ifindex: number }[] = JSON.parse(
    await runCommand('nsenter', args, { timeoutMs: 5000 }),
  )
  return new Map(links.map(({ ifname, ifindex }) => [ifname, ifindex]))
}

/** No machines and no DHCP. */
async function emptyHost(host: string): Promise<void> {
  await killCgroupAndWait(join(cgroups, host), 5000)
  for (const handle of await mountsBelow(join(directory, host))) await unmount(handle)
  await rm(join(directory, host), { recursive: true, force: true })
  const links = await runCommand('nsenter', [`--net=/run/netns/${host}`, 'cat', '/proc/self/net/dev'], {
    timeoutMs: 5000,
  })
  // The other end of one may have gone with its namespace, and it with that.
  for (const device of links.match(/\bdt[nxru]?\d+(?=:)/g) ?? []) await deleteInterface(device, host)
}

async function answeredMacs(): Promise<string[]> {
  const replies = await ask([1, 2, 3].map((number) => ({ mac: cardOf(number).macAddress, kind: 'discover' })))
  return replies.map(({ mac }) => mac)
}

/** All replies, by MAC. */
async function ask(questions: readonly DhcpQuestion[]): Promise<DhcpReply[]> {
  const program = join(import.meta.dirname, 'agent-network.probe.ts')
  const args = [`--net=/run/netns/${guest}`, process.execPath, program, JSON.stringify(questions)]
  const replies: DhcpReply[] = JSON.parse(await runCommand('nsenter', args, { timeoutMs: 5000 }))
  return replies.sort((left, right) => left.mac.localeCompare(right.mac))
}
