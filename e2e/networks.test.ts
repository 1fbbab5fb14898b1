/** Networks over three hosts, with real guests: machines of one reach each other wherever they are, and nobody else's. Needs root. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { waitForAnswer } from '../src/cli/demo/http-probe.ts'
import { hostNamespaceOf } from '../src/laboratory/laboratory-names.ts'
import { networkNamespacePath } from '../src/linux/network-namespace.ts'
import { runCommand } from '../src/linux/run-command.ts'
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
  await deploy('other', [{ network: 'right', address: '10.50.0.3' }], bound)
})
after(() => laboratory?.[Symbol.asyncDispose]())

test('two machines on different hosts reach each other by name, and one with the same address in another network hears nothing of it', async () => {
  const two = await laboratory.api.call('getVm', { params: { vm: 'two' } })
  const flat = two.nics.find(({ networkName }) => networkName === 'flat')
  assert(flat !== undefined)
  const answer = await waitForAnswer({ address: flat.address, name: 'two' }, { deadlineMs })
  assert.equal(answer.answer.name, 'two', 'its second card is in the flat network')
  await using one = await openConsole('one')
  assert.match(await one.run(get('10.50.0.3', 80)), /"name":"two"/)
  assert.match(await one.run('/bin/busybox nslookup two.left.internal 10.50.0.1'), /Address.*10\.50\.0\.3/)
  const address6 = two.nics[0]?.address6
  assert(typeof address6 === 'string')
  // Its own address it has with the next advertisement of its router.
  const ping = `until /bin/busybox ping6 -c 1 -W 1 ${address6} | /bin/busybox grep 'bytes from'; do /bin/busybox sleep 1; done`
  assert.match(await one.run(ping), /bytes from/)
  assert.match(await one.run('/bin/busybox cat /sys/class/net/eth0/mtu'), /\b1450\b/)
  await using other = await openConsole('other')
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
    await using one = await openConsole('one')
    assert.match(await one.run(ask), /hello from outside/)
    await using other = await openConsole('other')
    assert.match(await other.run(ask), /nobody/)
  } finally {
    world.close()
    world.closeAllConnections()
  }
  const host = await laboratory.api.call('getHost', { params: { host: homeOfOne } })
  assert.deepEqual(seen, [host.address])
})

test('a network leaves the hosts with its last machine, and is deleted', async () => {
  const { api, untilTaskEnds, name } = laboratory
  await assert.rejects(api.call('deleteNetwork', { params: { network: 'right' } }), /right is used by other/)
  const query = { force: 'true' } as const
  const { task } = await api.call('deleteVm', { params: { vm: 'other' }, query })
  await untilTaskEnds(task.id)
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
  await using two = await openConsole('two')
  assert.match(await two.run(get('10.50.0.2', 80)), /"name":"one"/, 'other networks are as before')
})

test('a machine that starts on another host because its own died keeps its address there, and is reached at once', async () => {
  const { api, lab } = laboratory
  await lab(['power-off', homeOfOne])
  const givesUpAtMs = performance.now() + deadlineMs
  await using two = await openConsole('two')
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

/** busybox's own wget can't be used: linked statically, it dies in the look-up of the service `http`. */
function get(address: string, port: number): string {
  return `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | /bin/busybox nc -w 3 ${address} ${port} || echo nobody`
}

/** A shell on the machine's serial line, as soon as the guest lets somebody in. */
async function openConsole(vm: string) {
  const givesUpAtMs = performance.now() + deadlineMs
  let line: Duplex | undefined
  while (line === undefined) {
    line = await laboratory.api.upgrade('vmConsole', { params: { vm } }).catch(() => undefined)
    assert(performance.now() < givesUpAtMs, `${vm} has a console`)
    if (line === undefined) await delay(200)
  }
  const stream = line
  let heard = ''
  stream.on('data', (chunk: Buffer) => (heard += chunk.toString()))
  stream.on('error', () => undefined)
  const until = async (pattern: RegExp, timeoutMs: number) => {
    const untilMs = performance.now() + timeoutMs
    while (!pattern.test(heard) && performance.now() < untilMs) await delay(20)
    return pattern.test(heard)
  }
  const type = async (text: string, pattern: RegExp, timeoutMs: number) => {
    heard = ''
    stream.write(text)
    return until(pattern, timeoutMs)
  }
  // The line is there before the guest is ready to let anybody in.
  const isAsked = async () => (await type('\n', /login: $/, 500)) && (await type('root\n', /Password: /, 3_000))
  while (!(await isAsked())) assert(performance.now() < givesUpAtMs, `${vm} asks for the password: ${heard}`)
  assert(await type('tiny\n', /~ # /, 5_000), `${vm} lets us in: ${heard}`)
  return {
    /** What the command prints. */
    async run(command: string): Promise<string> {
      const isDone = await type(`${command}; echo do''ne\n`, /done\r?\n/, 20_000)
      assert(isDone, `${command} ends on ${vm}: ${heard}`)
      return heard
    },
    async [Symbol.asyncDispose]() {
      await type('exit\n', /login: $/, 3_000)
      stream.destroy()
    },
  }
}
