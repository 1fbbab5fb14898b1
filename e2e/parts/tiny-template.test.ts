/** The template `tiny` under real QEMU, with nothing of Dialtone around it: what its README promises is seen here. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { findSecondWriters, readStamps } from '../../recipes/tiny/read-stamps.ts'
import { runCommand } from '../../src/linux/run-command.ts'
import {
  type TemplateManifest,
  templateManifestFileName,
  templateManifestSchema,
} from '../../src/model/template-manifest.ts'

const builder = join(import.meta.dirname, '../../recipes/build-template.ts')
const home = process.env['DIALTONE_HOME'] ?? '/var/lib/dialtone'
const bootTimeoutMs = 30_000
const powerOffTimeoutMs = 10_000
const machineType = 'q35,sata=off,smbus=off,usb=off,vmport=off,i8042=off,hpet=off'

const identitySchema = z.object({
  service: z.literal('tiny'),
  name: z.string(),
  machineId: z.string().regex(/^[0-9a-f]{32}$/),
  mac: z.literal('52:54:00:0d:1a:01'),
  address: z.literal('10.0.2.15'),
  bootId: z.uuid(),
  boots: z.number().int(),
  uptimeMs: z.number().int().min(1),
  cpus: z.literal(1),
  memoryMiB: z.number().int().min(32),
  pid: z.number().int(),
  requests: z.number().int(),
  timeMs: z.number().int(),
  random: z.string().regex(/^[0-9a-f]{16}$/),
})
const checkSchema = z.object({ ok: z.boolean(), pages: z.number(), bad: z.number() })
const loadSchema = z.object({ running: z.boolean(), mib: z.number(), rounds: z.number(), dirtiedPages: z.number() })
const stampSchema = z.object({ written: z.number(), position: z.number(), lastErrno: z.number() })
const agentAnswerSchema = z.object({ return: z.unknown() })

type Machine = {
  readonly qemu: ChildProcess
  readonly httpPort: number
  readonly echoPort: number
  readonly agentSocket: string
  readonly qmpSocket: string
}

type Template = { readonly directory: string; readonly manifest: TemplateManifest }

let template: Template
let directory: string
let machine: Machine
let stampDisk: string

before(
  async () => {
    template = await buildTiny()
    directory = await mkdtemp(join(tmpdir(), 'tiny-'))
    stampDisk = join(directory, 'stamps.raw')
    await writeFile(stampDisk, Buffer.alloc(1 << 20))
    const base = join(template.directory, 'root.qcow2')
    const args = ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, join(directory, 'root.qcow2')]
    await runCommand('qemu-img', args, { timeoutMs: 10_000 })
    machine = await startMachine('first', template.manifest.minimumMemoryMiB, '')
  },
  { timeout: 180_000 },
)

after(async () => {
  if (machine?.qemu.exitCode === null && machine.qemu.kill('SIGKILL')) await once(machine.qemu, 'exit')
  if (directory !== undefined) await rm(directory, { recursive: true })
})

/** By the command, as everybody builds it; its last line is the folder. */
async function buildTiny(): Promise<Template> {
  const args = [builder, 'tiny', '--into', join(home, 'templates')]
  const output = await runCommand(process.execPath, args, { timeoutMs: 170_000 })
  const folder = output.trimEnd().split('\n').at(-1) ?? ''
  const paper = await readFile(join(folder, templateManifestFileName), 'utf8')
  return { directory: folder, manifest: templateManifestSchema.parse(JSON.parse(paper)) }
}

test('it answers HTTP with who it is, with the least memory that it promises', async () => {
  const identity = identitySchema.parse(await waitForIdentity())
  assert.equal(identity.boots, 1)
  assert.equal(identity.name, 'first')
  const again = identitySchema.parse(await get('/'))
  assert.notEqual(again.random, identity.random)
  assert.ok(again.requests > identity.requests)
  assert.equal(again.bootId, identity.bootId)
})

test('it keeps a connection, answers requests in order, and refuses what it does not know', async () => {
  const words = await conversation(
    machine.httpPort,
    'GET /health HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\n\r\nPUT /load HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyzbad\r\n\r\n',
  )
  const statuses = [...words.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status)
  assert.deepEqual(statuses, ['200', '404', '405', '400'])
  assert.match(words, /\r\n\r\nok\nHTTP/)
})

test('a head that never ends is refused', async () => {
  assert.match(await conversation(machine.httpPort, `GET / HTTP/1.1\r\nX: ${'x'.repeat(5000)}`), /^HTTP\/1\.1 413/)
})

test('it echoes to many clients', async () => {
  const sockets = await Promise.all(Array.from({ length: 20 }, () => open(machine.echoPort)))
  for (const [index, socket] of sockets.entries()) {
    socket.write(`hello ${index}`)
    const [chunk] = await once(socket, 'data')
    assert.equal(String(chunk), `hello ${index}`)
    socket.destroy()
  }
})

test('its memory load can be checked while it runs', async () => {
  const started = loadSchema.parse(await send('POST', '/load?mib=8&rate=50'))
  assert.equal(started.mib, 8)
  await sleep(1500)
  assert.deepEqual(checkSchema.parse(await get('/load/check')), { ok: true, pages: 2048, bad: 0 })
  const load = loadSchema.parse(await get('/load'))
  assert.ok(load.running && load.rounds >= 1)
  assert.equal(loadSchema.parse(await send('DELETE', '/load')).running, false)
  assert.equal((await fetch(url('/load/check'))).status, 409)
})

test('its stamps can be read from the disk, and its own disk is refused', async () => {
  assert.equal((await fetch(url('/stamp?device=/dev/vda'), { method: 'POST' })).status, 409)
  await send('POST', '/stamp?host=h1&epoch=5&incarnation=0&everyMs=10')
  await sleep(500)
  const stopped = stampSchema.parse(await send('DELETE', '/stamp'))
  assert.equal(stopped.lastErrno, 0)
  const stamps = await readStamps(stampDisk)
  assert.equal(stamps.length, stopped.written)
  assert.ok(stamps.length > 3)
  assert.deepEqual(findSecondWriters(stamps), [])
})

test('its guest agent answers', async () => {
  const answer = await waitForAgent()
  assert.deepEqual(answer, { return: {} })
})

test('the power button ends it, with its file system unmounted', async () => {
  await pressPowerButton()
  assert.equal(machine.qemu.exitCode, 0)
  const raw = join(directory, 'root.raw')
  await runCommand('qemu-img', ['convert', '-O', 'raw', join(directory, 'root.qcow2'), raw], { timeoutMs: 10_000 })
  const description = await runCommand('/sbin/dumpe2fs', ['-h', raw], { timeoutMs: 10_000 })
  assert.match(description, /^Filesystem state: +clean$/m)
  assert.doesNotMatch(description, /needs_recovery/)
})

test('at the next start it has counted, is still itself, and stamps as its command line says', async () => {
  const stampsBefore = await readStamps(stampDisk)
  const order = 'dialtone.stamp=/dev/vdb dialtone.host=h2 dialtone.epoch=6 dialtone.incarnation=1'
  machine = await startMachine('second', template.manifest.defaultMemoryMiB, order)
  const identity = identitySchema.parse(await waitForIdentity())
  assert.equal(identity.boots, 2)
  assert.equal(identity.name, 'second')
  await sleep(500)
  await pressPowerButton()
  const stamps = await readStamps(stampDisk)
  assert.ok(stamps.length > stampsBefore.length)
  assert.deepEqual(findSecondWriters(stamps), [])
  const last = stamps.at(-1)
  assert.ok(last?.kind === 'stamp' && last.host === 'h2' && last.epoch === 6 && last.incarnation === 1)
})

async function startMachine(name: string, memoryMiB: number, extraCommandLine: string): Promise<Machine> {
  const [httpPort, echoPort] = [await freePort(), await freePort()]
  const [agentSocket, qmpSocket] = [join(directory, 'agent.sock'), join(directory, 'qmp.sock')]
  const forward = `hostfwd=tcp:127.0.0.1:${httpPort}-:80,hostfwd=tcp:127.0.0.1:${echoPort}-:7`
  const commandLine = `${template.manifest.commandLineTcg} dialtone.name=${name} ${extraCommandLine}`
  const args = [
    ...['-accel', 'tcg', '-cpu', 'max', '-M', machineType, '-m', `${memoryMiB * 1024 + 8}K`],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-serial', `file:${join(directory, 'console.log')}`],
    ...['-kernel', join(template.directory, 'vmlinux'), '-initrd', join(template.directory, 'initrd.img')],
    ...['-append', commandLine, '-qmp', `unix:${qmpSocket},server=on,wait=off`, '-action', 'reboot=shutdown'],
    ...['-netdev', `user,id=n0,${forward}`, '-device', 'virtio-net-pci,netdev=n0,romfile=,mac=52:54:00:0d:1a:01'],
    ...['-drive', `file=${join(directory, 'root.qcow2')},if=none,id=d0`, '-device', 'virtio-blk-pci,drive=d0'],
    ...['-drive', `file=${stampDisk},format=raw,if=none,id=d1`, '-device', 'virtio-blk-pci,drive=d1'],
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,path=${agentSocket},server=on,wait=off,id=ga`],
    ...['-device', 'virtserialport,chardev=ga,name=org.qemu.guest_agent.0', '-device', 'pvpanic-pci'],
    ...['-device', 'virtio-rng-pci', '-device', 'virtio-balloon-pci', '-device', 'i6300esb'],
  ]
  const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  return { qemu, httpPort, echoPort, agentSocket, qmpSocket }
}

async function waitForIdentity(): Promise<unknown> {
  const deadline = performance.now() + bootTimeoutMs
  while (performance.now() < deadline) {
    const response = await fetch(url('/'), { signal: AbortSignal.timeout(500) }).catch(() => undefined)
    if (response !== undefined) return response.json()
    await sleep(50)
  }
  throw new Error(`no answer within ${bootTimeoutMs} ms`)
}

async function waitForAgent(): Promise<unknown> {
  const socket = connect(machine.agentSocket)
  socket.on('error', () => undefined)
  const answer = once(createInterface(socket), 'line')
  const asking = setInterval(() => socket.write('{"execute":"guest-ping"}\n'), 500)
  try {
    const [line] = await Promise.race([answer, sleep(bootTimeoutMs, undefined, { ref: false }).then(() => ['null'])])
    return agentAnswerSchema.parse(JSON.parse(String(line)))
  } finally {
    clearInterval(asking)
    socket.destroy()
  }
}

async function pressPowerButton(): Promise<void> {
  const exit = once(machine.qemu, 'exit', { signal: AbortSignal.timeout(powerOffTimeoutMs) })
  const socket = connect(machine.qmpSocket)
  socket.on('error', () => undefined).resume()
  socket.write('{"execute":"qmp_capabilities"}\n{"execute":"system_powerdown"}\n')
  await exit
  socket.destroy()
}

async function conversation(port: number, text: string): Promise<string> {
  const socket = await open(port)
  socket.setEncoding('utf8').write(text)
  let words = ''
  for await (const chunk of socket) words += chunk
  return words
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.setTimeout(10_000, () => socket.destroy(new Error('no answer within 10 s')))
  await once(socket, 'connect')
  return socket
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('no port is free')
  return address.port
}

function url(path: string): string {
  return `http://127.0.0.1:${machine.httpPort}${path}`
}

async function get(path: string): Promise<unknown> {
  return (await fetch(url(path))).json()
}

async function send(method: string, path: string): Promise<unknown> {
  return (await fetch(url(path), { method })).json()
}
