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
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'

const subnet = '10.50.0.0/24'
const deadlineMs = 50_000
let laboratory: OpenLaboratory

before(async () => {
  laboratory = await openLaboratory('e2e-net', ['--hosts', '3'])
  const { api } = laboratory
  const make = (name: string, uplink: 'none' | 'nat') =>
    api.call('createNetwork', { body: { name, subnet, uplink, prefix6: 'fd00:50::/64' } })
  await make('left', 'nat')
  await make('right', 'none')
  const deploy = (name: string, host: string, networks: { network: string; address?: string }[]) =>
    api.call('createVm', { body: { name, host, networks, template: 'tiny' } })
  await deploy('one', 'h1', [{ network: 'left', address: '10.50.0.2' }])
  await deploy('two', 'h2', [{ network: 'left', address: '10.50.0.3' }, { network: 'flat' }])
  await deploy('other', 'h2', [{ network: 'right', address: '10.50.0.3' }])
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
  const host = await laboratory.api.call('getHost', { params: { host: 'h1' } })
  assert.deepEqual(seen, [host.address])
})

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
