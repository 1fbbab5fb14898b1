/** One tiny machine under real QEMU as the tests of its resident agent need it: booted with its memory in a file, or resumed from it. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectQmp, type QmpClient, type QmpEvent } from '../../src/agent/hypervisor/qemu/qmp-client.ts'
import { runCommand } from '../../src/linux/run-command.ts'
import type { TemplateManifest } from '../../src/model/template-manifest.ts'

export type Template = { readonly directory: string; readonly manifest: TemplateManifest }

export type MachineOptions = {
  readonly template: Template
  /** Holds the memory file, the state file and the disks of all machines of a test. */
  readonly directory: string
  readonly name: string
  /** Boots and writes the memory file, or goes on from it, without writing to it. */
  readonly from: 'boot' | 'memory'
  /** The guest's address, to which its HTTP port is forwarded. */
  readonly address: string
}

export type GuestMachine = {
  readonly qemu: ChildProcess
  readonly qmp: QmpClient
  readonly events: readonly QmpEvent[]
  /** When QEMU was started, on the clock of performance.now(). */
  readonly startedAtMs: number
  openPort(): Promise<ResidentPort>
  fetch(path: string, init?: RequestInit): Promise<Response>
  waitForEvent(name: QmpEvent['event'], timeoutMs: number): Promise<void>
  kill(): Promise<void>
}

export type ResidentPort = {
  readonly socket: Socket
  /** All that the guest has said on this connection. */
  readonly said: () => string
  /** Sends one request; returns the lines of its answer. */
  ask(request: Readonly<Record<string, string | number>>, timeoutMs?: number): Promise<Record<string, string>>
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<void>
}

export const qmpTimeoutMs = 10_000
const answerTimeoutMs = 10_000
const hotplugPorts = 2
const machineType = 'q35,sata=off,smbus=off,usb=off,vmport=off,i8042=off,hpet=off,memory-backend=pc.ram'
export const bootedMacAddress = '52:54:00:0d:1a:01'

/** Starts QEMU; a machine from memory is complete but stands still until `cont`. */
export async function startGuest(options: MachineOptions): Promise<GuestMachine> {
  const { directory, name, template } = options
  const paths = {
    qmp: join(directory, `${name}.qmp`),
    port: join(directory, `${name}.port`),
    disk: join(directory, `${name}.qcow2`),
  }
  const base = options.from === 'boot' ? join(template.directory, 'root.qcow2') : join(directory, 'booted.qcow2')
  const overlay = ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, paths.disk]
  await runCommand('qemu-img', overlay, { timeoutMs: 10_000 })
  const httpPort = await freePort()
  const startedAtMs = performance.now()
  const qemu = spawn('qemu-system-x86_64', commandLine(options, paths, httpPort), {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const events: QmpEvent[] = []
  const qmp = await connectWhenThere(paths.qmp, (event) => events.push(event))
  if (options.from === 'memory') await loadMemory(qmp, directory)
  return {
    qemu,
    qmp,
    events,
    startedAtMs,
    openPort: () => openPort(paths.port),
    fetch: (path, init) =>
      fetch(`http://127.0.0.1:${httpPort}${path}`, { signal: AbortSignal.timeout(5_000), ...init }),
    waitForEvent: (wanted, timeoutMs) =>
      waitUntil(() => events.some(({ event }) => event === wanted), timeoutMs, wanted),
    kill: async () => {
      qmp.close()
      if (qemu.exitCode === null && qemu.signalCode === null && qemu.kill('SIGKILL')) await once(qemu, 'exit')
    },
  }
}

/** Writes what is not memory to the state file, with the machine standing still. The memory file then holds the rest. */
export async function captureMemory(machine: GuestMachine, directory: string): Promise<void> {
  const { qmp } = machine
  await qmp.execute('stop', {}, qmpTimeoutMs)
  await setCapabilities(qmp)
  await qmp.execute('migrate', { uri: `exec:cat > ${join(directory, 'state')}` }, qmpTimeoutMs)
  await waitForMigration(qmp)
}

async function loadMemory(qmp: QmpClient, directory: string): Promise<void> {
  await setCapabilities(qmp)
  await qmp.execute('migrate-incoming', { uri: `exec:cat ${join(directory, 'state')}` }, qmpTimeoutMs)
  await waitForMigration(qmp)
}

async function setCapabilities(qmp: QmpClient): Promise<void> {
  const capabilities = [{ capability: 'x-ignore-shared' as const, state: true }]
  await qmp.execute('migrate-set-capabilities', { capabilities }, qmpTimeoutMs)
}

async function waitForMigration(qmp: QmpClient): Promise<void> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const { status } = await qmp.execute('query-migrate', {}, qmpTimeoutMs)
    if (status === 'completed') return
    assert.notEqual(status, 'failed')
    await sleep(5)
  }
  throw new Error('the memory was not captured or loaded in time')
}

function commandLine(
  options: MachineOptions,
  paths: { qmp: string; port: string; disk: string },
  httpPort: number,
): string[] {
  const { template, directory, from } = options
  const memory = `${template.manifest.defaultMemoryMiB * 1024 + 8}K`
  const isBoot = from === 'boot'
  const file = `id=pc.ram,size=${memory},mem-path=${join(directory, 'memory')},share=${isBoot ? 'on' : 'off'}`
  const forward = `hostfwd=tcp:127.0.0.1:${httpPort}-${options.address}:80`
  const rootPorts = Array.from({ length: hotplugPorts }, (_, index) => [
    '-device',
    `pcie-root-port,id=port${index},chassis=${index + 1},addr=0x6.${index}${index === 0 ? ',multifunction=on' : ''}`,
  ])
  return [
    ...['-accel', 'tcg', '-cpu', 'max', '-M', machineType, '-m', memory, '-object', `memory-backend-file,${file}`],
    ...[
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
      '-serial',
      `file:${join(directory, `${options.name}.console`)}`,
    ],
    ...['-kernel', join(template.directory, 'vmlinux'), '-initrd', join(template.directory, 'initrd.img')],
    ...['-append', `${template.manifest.commandLineTcg} dialtone.name=${options.name}`],
    ...['-qmp', `unix:${paths.qmp},server=on,wait=off`, '-action', 'reboot=shutdown,panic=pause,watchdog=pause'],
    ...[
      '-netdev',
      `user,id=net0,${forward}`,
      '-device',
      `virtio-net-pci,id=nic0,netdev=net0,romfile=,mac=${bootedMacAddress},addr=2`,
    ],
    ...[
      '-device',
      'virtio-serial-pci,id=serial0,addr=3',
      '-chardev',
      `socket,id=resident0,path=${paths.port},server=on,wait=off`,
    ],
    ...['-device', 'virtserialport,bus=serial0.0,chardev=resident0,name=org.dialtone.resident.0'],
    ...[
      '-device',
      'pvpanic-pci,addr=5',
      ...rootPorts.flat(),
      '-device',
      'virtio-scsi-pci,id=scsi0,addr=8',
      '-device',
      'i6300esb,addr=9',
    ],
    ...['-drive', `file=${paths.disk},if=none,id=d0`, '-device', 'virtio-blk-pci,drive=d0,addr=7'],
    ...(isBoot ? [] : ['-S', '-incoming', 'defer']),
  ]
}

async function connectWhenThere(path: string, onEvent: (event: QmpEvent) => void): Promise<QmpClient> {
  const deadline = performance.now() + qmpTimeoutMs
  for (;;) {
    try {
      return await connectQmp(path, { timeoutMs: qmpTimeoutMs, onEvent })
    } catch (error) {
      if (performance.now() > deadline) throw error
      await sleep(5)
    }
  }
}

let lastRequest = 0

async function openPort(path: string): Promise<ResidentPort> {
  const socket = connect(path)
  await once(socket, 'connect')
  let said = ''
  socket.setEncoding('utf8').on('error', () => undefined)
  socket.on('data', (text: string) => {
    said += text
  })
  const waitFor = (pattern: RegExp, timeoutMs = answerTimeoutMs) =>
    waitUntil(() => pattern.test(said), timeoutMs, `${pattern} in ${JSON.stringify(said)}`)
  return {
    socket,
    said: () => said,
    waitFor,
    ask: async (request, timeoutMs) => {
      const id = `r${++lastRequest}`
      socket.write(
        `${[`id=${id}`, ...Object.entries(request).map(([key, value]) => `${key}=${value}`)].join('\n')}\n\n`,
      )
      const answer = new RegExp(`(?:^|\n)id=${id}\n((?:.+\n)*)\n`)
      await waitFor(answer, timeoutMs)
      const lines = (answer.exec(said)?.[1] ?? '').trim().split('\n')
      return Object.fromEntries(lines.map((line) => line.split(/=(.*)/, 2)))
    },
  }
}

export async function waitUntil(isTrue: () => boolean, timeoutMs: number, what: string): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await sleep(1)
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('no port is free')
  return address.port
}
