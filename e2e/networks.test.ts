/** Networks over three hosts, with real guests: machines of one reach each other wherever they are, and nobody else's. Needs root. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { waitForAnswer } from '../src/cli/demo/http-probe.ts'
import { hostNamespaceOf } from '../src/laboratory/laboratory-names.ts'
import { networkNamespacePath } from '../src/linux/network-namespace.ts'
import { runCommand } from '../src/linux/run-command.ts'
import { openConsole } from './open-console.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'

const subnet = '10.50.0.0/24'
const deadlineMs = 50_000
let laboratory: OpenLaboratory
let homeOfOne = ''

before(async () => {
  laboratory = await openLaboratory('e2e-net', ['--hosts', '3'])
  const { api } = laboratory
  const make = (name: string, uplink: 'none' | 'nat') =>
    api.call('createNetwork', { body: { name, subnet, uplink, prefix6: 'fd00:50::/64' } })
  await make('left', 'nat')
  await make('right', 'none')
  const deploy = (name: string, networks: { network: string; address?: string }[], more: object) =>
    api.call('createVm', { body: { name, networks, template: 'tiny', ...more } })
  await deploy('one', [{ network: 'left', address: '10.50.0.2' }], { ha: true })
  homeOfOne = await homeOf('one')
  const bound = { storage: 'local', host: homeOfOne === 'h2' ? 'h3' : 'h2' }
  await deploy('two', [{ network: 'left', address: '10.50.0.3' }, { network: 'flat' }], bound)
  await api.call('createSecurityGroup', { body: { name: 'closed' } })
  for (const [direction, port] of [
    ['in', 1],
    ['out', 80],
  ] as const)
    await api.call('addSecurityRule', {
      params: { group: 'closed' },
      body: { direction, protocol: 'tcp', ports: [{ from: port, to: port }] },
    })
  await deploy('vault', [{ network: 'left', address: '10.50.0.9' }], { ...bound, securityGroups: ['closed'] })
  await deploy('other', [{ network: 'right', address: '10.50.0.3' }], bound)
})
after(() => laboratory?.[Symbol.asyncDispose]())

test('two machines on different hosts reach each other by name, and one with the same address in another network hears nothing of it', async () => {
  const two = await laboratory.api.call('getVm', { params: { vm: 'two' } })
  const flat = two.nics.find(({ networkName }) => networkName === 'flat')
  assert(flat !== undefined)
  const answer = await waitForAnswer({ address: flat.address, name: 'two' }, { deadlineMs })
  assert.equal(answer.answer.name, 'two', 'its second card is in the flat network')
  await using one = await openConsole(laboratory, 'one')
  assert.match(await one.run(get('10.50.0.3', 80)), /"name":"two"/)
  assert.match(await one.run('/bin/busybox nslookup two.left.internal 10.50.0.1'), /Address.*10\.50\.0\.3/)
  const address6 = two.nics[0]?.address6
  assert(typeof address6 === 'string')
  // Its own address it has with the next advertisement of its router.
  const ping = `until /bin/busybox ping6 -c 1 -W 1 ${address6} | /bin/busybox grep 'bytes from'; do /bin/busybox sleep 1; done`
  assert.match(await one.run(ping), /bytes from/)
  assert.match(await one.run('/bin/busybox cat /sys/class/net/eth0/mtu'), /\b1450\b/)
  await using other = await openConsole(laboratory, 'other')
  assert.match(await other.run(get('10.50.0.3', 80)), /"name":"other"/)
  assert.match(await other.run(get('10.50.0.2', 80)), /nobody/)
})

test('a network with the uplink nat reaches the world with its host’s address, one without an uplink does not', async () => {
  const seen: string[] = []
  const world = createServer((request, response) => {
    seen.push(request.socket.remoteAddress ?? '')
    response.end('hello from outside')
  })
  const { gateway } = z
    .looseObject({ gateway: z.string() })
    .parse(JSON.parse(await readFile(join(laboratory.folder, 'lab.json'), 'utf8')))
  world.listen(0, gateway)
  await once(world, 'listening')
  const address = world.address()
  assert(address !== null && typeof address === 'object')
  const ask = get(gateway, address.port)
  try {
    await using one = await openConsole(laboratory, 'one')
    assert.match(await one.run(ask), /hello from outside/)
    await using other = await openConsole(laboratory, 'other')
    assert.match(await other.run(ask), /nobody/)
  } finally {
    world.close()
    world.closeAllConnections()
  }
  const host = await laboratory.api.call('getHost', { params: { host: homeOfOne } })
  assert.deepEqual(seen, [host.address])
})

test('hosts ask machines in networks of their own, each the right one of two with the same address', async () => {
  for (const name of ['one', 'two', 'other']) await untilServing(name)
})

test('rules leave a machine of a network of its own its address by DHCP, its host’s probe and answers to what it asks', async () => {
  await untilServing('vault')
  await using vault = await openConsole(laboratory, 'vault')
  assert.match(await vault.run(get('10.50.0.2', 80)), /"name":"one"/)
  await using one = await openConsole(laboratory, 'one')
  assert.match(await one.run(get('10.50.0.9', 80)), /nobody/)
})

test('a clone from memory is a machine of the network of its origin, and is asked there', async () => {
  const { api, untilTaskEnds } = laboratory
  const { task } = await api.call('cloneVm', { params: { vm: 'other' }, body: { count: 1, name: 'twin', ha: false } })
  await untilTaskEnds(task.id)
  await untilServing('twin')
  const { nics } = await api.call('getVm', { params: { vm: 'twin' } })
  assert.deepEqual(
    nics.map(({ networkName, address }) => [networkName, address]),
    [['right', '10.50.0.2']],
  )
  await using other = await openConsole(laboratory, 'other')
  assert.match(await other.run(get('10.50.0.2', 80)), /"name":"twin"/)
  await remove('twin')
})

test('where no kernel has VLANs, a machine in one is refused with the reason of each host', async () => {
  const { api } = laboratory
  const { hosts } = await api.call('listHosts', {})
  if (hosts.some(({ status }) => status.networkFaults.vlan === undefined)) return
  const network = { name: 'office', subnet: '10.60.0.0/24', kind: 'vlan', vlanId: 7, interface: 'br0' } as const
  await api.call('createNetwork', { body: network })
  const body = { name: 'clerk', template: 'tiny', networks: [{ network: 'office' }] }
  await assert.rejects(api.call('createVm', { body }), /h1: the machine's network office can't be there: .*no VLANs/)
  await api.call('deleteNetwork', { params: { network: 'office' } })
})

test('a network leaves the hosts with its last machine, and is deleted', async () => {
  const { api, name } = laboratory
  await assert.rejects(api.call('deleteNetwork', { params: { network: 'right' } }), /right is used by other/)
  await remove('other')
  const right = await api.call('deleteNetwork', { params: { network: 'right' } })
  const links = () =>
    runCommand('nsenter', [`--net=${networkNamespacePath(hostNamespaceOf(name, 'h2'))}`, 'ip', 'link'], {
      timeoutMs: 5_000,
    })
  const givesUpAtMs = performance.now() + 5_000
  while ((await links()).includes(`dtn${right.number}`)) {
    assert(performance.now() < givesUpAtMs, 'its devices go')
    await delay(100)
  }
  await using two = await openConsole(laboratory, 'two')
  assert.match(await two.run(get('10.50.0.2', 80)), /"name":"one"/, 'other networks are as before')
})

test('a machine that starts on another host because its own died keeps its address there, and is reached at once', async () => {
  const { api, lab } = laboratory
  await lab(['power-off', homeOfOne])
  const givesUpAtMs = performance.now() + deadlineMs
  await using two = await openConsole(laboratory, 'two')
  while (!(await two.run(get('10.50.0.2', 80))).includes('"name":"one"'))
    assert(performance.now() < givesUpAtMs, 'it answers again')
  assert.notEqual((await api.call('getVm', { params: { vm: 'one' } })).hostName, homeOfOne)
})

/** The host that it was placed on. */
async function homeOf(vm: string): Promise<string> {
  const givesUpAtMs = performance.now() + deadlineMs
  for (;;) {
    const { hostName } = await laboratory.api.call('getVm', { params: { vm } })
    if (hostName !== null) return hostName
    assert(performance.now() < givesUpAtMs, `${vm} has a place`)
    await delay(50)
  }
}

async function remove(vm: string): Promise<void> {
  const { task } = await laboratory.api.call('deleteVm', { params: { vm }, query: { force: 'true' } })
  await laboratory.untilTaskEnds(task.id)
}

/** Its host's probe gets correct answers. */
async function untilServing(vm: string): Promise<void> {
  const givesUpAtMs = performance.now() + deadlineMs
  for (;;) {
    const { status } = await laboratory.api.call('getVm', { params: { vm } })
    if (status.recovery?.service === 'correct') return
    assert(performance.now() < givesUpAtMs, `${vm} serves: ${JSON.stringify(status)}`)
    await delay(50)
  }
}

/** busybox's own wget can't be used: linked statically, it dies in the look-up of the service `http`. */
function get(address: string, port: number): string {
  return `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | /bin/busybox nc -w 3 ${address} ${port} || echo nobody`
}
