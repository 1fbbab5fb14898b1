/**
 * The agent that is resident in the tiny machine, under real QEMU with nothing of Dialtone around it: one machine is booted, its memory
 * is captured, and two machines go on from that memory in other processes.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { residentEntropyBytes } from '../../src/agent/hypervisor/resident-protocol.ts'
import { runCommand } from '../../src/linux/run-command.ts'
import { templateManifestFileName, templateManifestSchema } from '../../src/model/template-manifest.ts'
import {
  bootedMacAddress,
  captureMemory,
  type GuestMachine,
  qmpTimeoutMs,
  type ResidentPort,
  startGuest,
  type Template,
} from './resident-guest.driver.ts'

const builder = join(import.meta.dirname, '../../recipes/build-template.ts')
const home = process.env['DIALTONE_HOME'] ?? '/var/lib/dialtone'
const bootTimeoutMs = 30_000
const diskBytes = 16 << 20
const identitySchema = z.object({
  name: z.string(),
  machineId: z.string(),
  mac: z.string(),
  address: z.string(),
  bootId: z.string(),
  pid: z.number(),
  timeMs: z.number(),
})
const clone = {
  name: 'clone-b',
  machineId: 'b0'.repeat(16),
  macAddress: '52:54:00:0d:1a:77',
  address: '10.0.2.77',
  prefixLength: 24,
  gateway: '10.0.2.2',
}

let template: Template
let directory: string
let booted: GuestMachine
/** Goes on as the machine that was captured. */
let same: GuestMachine
/** Becomes another one. */
let other: GuestMachine
let port: ResidentPort

before(
  async () => {
    template = await buildTiny()
    // In memory, as the agent keeps images: no disk stands between these machines and their pages.
    directory = await mkdtemp('/dev/shm/resident-')
    booted = await startGuest({ template, directory, name: 'booted', from: 'boot', address: '10.0.2.15' })
  },
  { timeout: 180_000 },
)

after(async () => {
  for (const machine of [booted, same, other]) await machine?.kill()
  if (directory !== undefined) await rm(directory, { recursive: true })
})

test('it is there within a second of the first answer of the service', async () => {
  port = await booted.openPort()
  const hello = port.ask({ do: 'hello' }, bootTimeoutMs)
  await waitForService(booted)
  await Promise.race([hello, sleep(1_000).then(() => assert.fail('no hello a second after the first answer'))])
  assert.deepEqual(await hello, { ok: '1', version: '1', verbs: 'hello,resume,become,mount,unmount,restart,ask' })
})

test('the machine is ready as its manifest says', async () => {
  const { readiness, residentAgent } = template.manifest
  assert.ok(residentAgent && readiness?.kind === 'http')
  const response = await booted.fetch(readiness.path)
  assert.equal(response.status, readiness.status)
  assert.match(await response.text(), new RegExp(readiness.body ?? ''))
})

test('noise, an endless message and a message in pieces do not disturb it', async () => {
  port.socket.write(`${'x'.repeat(20_000)}\n\n`)
  port.socket.write(Buffer.from('00ff0a80c30a0a', 'hex'))
  port.socket.write('id=pieces\ndo=')
  await sleep(20)
  port.socket.write('hello\n\n')
  await port.waitFor(/id=pieces\nok=1\n/)
})

test('after a host that broke off in the middle of a message the next one is heard, and nobody connected costs nothing', async () => {
  port.socket.write('id=half\ndo=restart\nname=')
  await sleep(50)
  port.socket.destroy()
  const usedBefore = await processorMs(booted)
  await sleep(1_000)
  const used = (await processorMs(booted)) - usedBefore
  assert.ok(used < 500, `${used} ms of a second while nobody is connected`)
  for (let round = 0; round < 5; round++) {
    port = await booted.openPort()
    assert.equal((await port.ask({ do: 'hello' }))['ok'], '1')
    assert.doesNotMatch(port.said(), /half/)
    if (round < 4) port.socket.destroy()
  }
})

test('going on without a proper message is refused, and with one the clock is right', async () => {
  assert.match((await port.ask({ do: 'resume', timeMs: 1, entropy: 'ff' }))['error'] ?? '', /entropy/)
  const timeMs = Date.UTC(2031, 4, 6, 7, 8, 9)
  assert.deepEqual(await port.ask({ do: 'resume', timeMs, entropy: entropy() }), { ok: '1' })
  const { timeMs: shown } = await identityOf(booted)
  assert.ok(shown >= timeMs && shown < timeMs + 5_000)
})

test('two machines that go on from one memory draw different random numbers', async () => {
  port.socket.destroy()
  await captureMemory(booted, directory)
  await booted.kill()
  same = await startGuest({ template, directory, name: 'same', from: 'memory', address: '10.0.2.15' })
  port = await goOn(same)
  assert.deepEqual(await port.ask({ do: 'resume', timeMs: Date.now(), entropy: entropy() }), { ok: '1' })
  other = await startGuest({ template, directory, name: 'other', from: 'memory', address: clone.address })
  const otherPort = await goOn(other)
  assert.deepEqual(await otherPort.ask({ do: 'resume', timeMs: Date.now(), entropy: entropy() }), { ok: '1' })
  await same.qmp.execute('set_link', { name: 'nic0', up: true }, qmpTimeoutMs)
  const random = await (await same.fetch('/random?bytes=4096')).text()
  assert.match(random, /^[0-9a-f]{8192}\n$/)
  assert.deepEqual(await become(otherPort), { ok: '1', card: 'eth0' })
  await other.qmp.execute('set_link', { name: 'nic0', up: true }, qmpTimeoutMs)
  assert.notEqual(await (await other.fetch('/random?bytes=4096')).text(), random)
  otherPort.socket.destroy()
})

test('the one is as it was, with the right time; the other is another machine, and its DHCP client lets it be', async () => {
  const [one, two] = [await identityOf(same), await identityOf(other)]
  assert.deepEqual([one.name, one.mac, one.address], ['booted', bootedMacAddress, '10.0.2.15'])
  assert.ok(Math.abs(one.timeMs - Date.now()) < 2_000)
  // It asks for its own address and is offered another, since this one is not of the range that QEMU's server gives out.
  await sleep(1_500)
  const three = await identityOf(other)
  for (const { name, mac, address, machineId } of [two, three]) {
    assert.deepEqual([name, mac, address], [clone.name, clone.macAddress, clone.address])
    assert.equal(machineId, clone.machineId)
  }
  assert.equal(three.bootId, one.bootId)
})

test('becoming twice is fine', async () => {
  const again = await other.openPort()
  assert.deepEqual(await become(again), { ok: '1', card: 'eth0' })
  again.socket.destroy()
  assert.equal((await identityOf(other)).address, clone.address)
})

test('a blank disk that is still being plugged in gets a file system, is served, and keeps what is counted', async (t) => {
  const mounted = port.ask({ do: 'mount', serial: 'vol-blank001', index: 3 })
  await sleep(50)
  const beganMs = performance.now()
  await plug('vol-blank001', { driver: 'virtio-blk-pci', bus: 'port0' })
  assert.deepEqual(await mounted, { ok: '1', made: '1', device: '/dev/vdb', at: '/volumes/3' })
  t.diagnostic(`virtio-blk, hot-plugged, file system made, served: ${Math.round(performance.now() - beganMs)} ms`)
  assert.equal(await same.fetch('/volumes').then((answer) => answer.text()), '[{"index":3,"count":0}]\n')
  for (const count of [1, 2]) assert.deepEqual(await post('/volumes/3/count'), { index: 3, count })
  assert.equal((await same.fetch('/volumes/4/count', { method: 'POST' })).status, 409)
  assert.equal((await port.ask({ do: 'mount', serial: 'vol-blank001', index: 3 }))['ok'], '1')
  assert.match((await port.ask({ do: 'mount', serial: 'vol-none0000', index: 4 }, 8_000))['error'] ?? '', /within|came/)
  for (const round of [1, 2])
    assert.deepEqual(await port.ask({ do: 'unmount', serial: 'vol-blank001' }), { ok: '1' }, `${round}`)
  assert.equal(await same.fetch('/volumes').then((answer) => answer.text()), '[]\n')
  assert.equal((await port.ask({ do: 'mount', serial: 'vol-blank001', index: 3 }))['made'], '0')
  assert.equal(await same.fetch('/volumes').then((answer) => answer.text()), '[{"index":3,"count":2}]\n')
})

test('a disk with anything on it is refused and left as it is, unless it is a file system that was never finished', async (t) => {
  const beganMs = performance.now()
  await plug('vol-alien001', { driver: 'scsi-hd', bus: 'scsi0.0' }, { at: 40_000, bytes: 'not blank' })
  const refusal = await port.ask({ do: 'mount', serial: 'vol-alien001', index: 5 })
  t.diagnostic(`SCSI, hot-plugged, looked at: ${Math.round(performance.now() - beganMs)} ms`)
  assert.match(refusal['error'] ?? '', /vol-alien001 is not blank/)
  const content = await readFile(join(directory, 'vol-alien001'))
  assert.equal(content.toString('latin1', 40_000, 40_009), 'not blank')
  assert.ok(content.subarray(0, 40_000).every((byte) => byte === 0))
  const mark = { at: diskBytes - 512, bytes: 'dialtone: a file system is being made on vol-half0001' }
  await plug('vol-half0001', { driver: 'virtio-blk-pci', bus: 'port1' }, mark, { at: 1024, bytes: 'half a superblock' })
  assert.equal((await port.ask({ do: 'mount', serial: 'vol-half0001', index: 6 }))['made'], '1')
})

test('a restart cures a service that gives wrong answers, is slow, or hangs', async () => {
  assert.deepEqual(await post('/fail?kind=wrong'), { fail: 'wrong' })
  assert.equal((await same.fetch('/health')).status, 500)
  assert.deepEqual(await post('/fail?kind=slow'), { fail: 'slow' })
  await assert.rejects(same.fetch('/health', { signal: AbortSignal.timeout(1_000) }))
  assert.deepEqual(await post('/fail?kind=hang'), { fail: 'hang' })
  await assert.rejects(same.fetch('/health', { signal: AbortSignal.timeout(1_000) }))
  assert.deepEqual(await port.ask({ do: 'restart' }), { ok: '1' })
  assert.equal(await same.fetch('/health').then((answer) => answer.text()), 'ok\n')
})

test('a panic is announced, and the machine stands still with it', async () => {
  await other.fetch('/panic', { method: 'POST' })
  await other.waitForEvent('GUEST_PANICKED', 10_000)
})

test('a pause longer than the watchdog waits does no harm; a machine that hangs is silent until the watchdog announces it', async () => {
  await same.qmp.execute('stop', {}, qmpTimeoutMs)
  await sleep(7_000)
  await same.qmp.execute('cont', {}, qmpTimeoutMs)
  assert.equal((await port.ask({ do: 'hello' }))['ok'], '1')
  assert.ok(!same.events.some(({ event }) => event === 'WATCHDOG'))
  assert.deepEqual(await post('/hang'), { fail: 'hang' })
  // It answers first.
  await sleep(200)
  await assert.rejects(port.ask({ do: 'hello' }, 1_000))
  await same.waitForEvent('WATCHDOG', 15_000)
})

/** By the command, as everybody builds it; its last line is the folder. */
async function buildTiny(): Promise<Template> {
  const args = [builder, 'tiny', '--into', join(home, 'templates')]
  const folder = (await runCommand(process.execPath, args, { timeoutMs: 170_000 })).trimEnd().split('\n').at(-1) ?? ''
  const paper = await readFile(join(folder, templateManifestFileName), 'utf8')
  return { directory: folder, manifest: templateManifestSchema.parse(JSON.parse(paper)) }
}

/** With the link down, as a machine from memory must begin. */
async function goOn(machine: GuestMachine): Promise<ResidentPort> {
  await machine.qmp.execute('set_link', { name: 'nic0', up: false }, qmpTimeoutMs)
  const opened = await machine.openPort()
  await machine.qmp.execute('cont', {}, qmpTimeoutMs)
  return opened
}

function become(to: ResidentPort): Promise<Record<string, string>> {
  return to.ask({ do: 'become', timeMs: Date.now(), entropy: entropy(), ...clone })
}

type Content = { readonly at: number; readonly bytes: string }

async function plug(
  id: string,
  device: { driver: string; bus: string },
  ...contents: readonly Content[]
): Promise<void> {
  const filename = join(directory, id)
  await using file = await open(filename, 'w')
  await file.truncate(diskBytes)
  for (const { at, bytes } of contents) await file.write(bytes, at)
  await same.qmp.execute(
    'blockdev-add',
    { driver: 'raw', 'node-name': id, file: { driver: 'file', filename } },
    qmpTimeoutMs,
  )
  await same.qmp.execute('device_add', { ...device, id: `disk-${id}`, drive: id, serial: id }, qmpTimeoutMs)
}

async function waitForService(machine: GuestMachine): Promise<void> {
  const deadline = performance.now() + bootTimeoutMs
  while (performance.now() < deadline) {
    const response = await machine.fetch('/health', { signal: AbortSignal.timeout(500) }).catch(() => undefined)
    if (response !== undefined) return
    await sleep(20)
  }
  throw new Error(`no answer within ${bootTimeoutMs} ms`)
}

async function identityOf(machine: GuestMachine): Promise<z.infer<typeof identitySchema>> {
  return identitySchema.parse(await (await machine.fetch('/')).json())
}

async function post(path: string): Promise<unknown> {
  return (await same.fetch(path, { method: 'POST' })).json()
}

function entropy(): string {
  return randomBytes(residentEntropyBytes).toString('hex')
}

/** Processor time of QEMU since its start. The kernel counts in hundredths of a second. */
async function processorMs({ qemu }: GuestMachine): Promise<number> {
  const text = await readFile(`/proc/${qemu.pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
