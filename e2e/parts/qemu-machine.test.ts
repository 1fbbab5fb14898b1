/** The QEMU driver with a real Linux guest on a tap. Needs root, a cgroup v2 tree, dnsmasq and the built template `tiny`. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { after, before, describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { MachineDefinition, MachineEvent, RunningMachine } from '../../src/agent/hypervisor/hypervisor.ts'
import { bootTimeoutMs, type GuestHost, openGuestHost, template } from './open-guest-host.ts'

const timeout = 60_000
let host: GuestHost

describe('a Linux machine on QEMU', { skip: template === undefined && 'the template tiny is not built' }, () => {
  before(async () => {
    host = await openGuestHost()
  })
  after(() => host.close())

  test('boots until it answers HTTP, offers a login, reboots itself, and shuts down by its power button', {
    timeout,
  }, async (t) => {
    const definition = await host.define('boots')
    const startedAt = performance.now()
    const machine = await host.hypervisor().start(definition)
    const readyMs = performance.now() - startedAt
    const console = await machine.openConsole()
    await machine.resume()
    const prompt = waitForText(console, 'login:')
    await host.untilHttpAnswers()
    const httpMs = performance.now() - startedAt
    await prompt
    const memory = await readFile(`/proc/${machine.pid}/smaps_rollup`, 'utf8')
    const idle = await idleShare(machine.pid)
    await assertRebootIsTold(machine, console)
    await machine.pressPowerButton()
    assert.equal((await machine.exited).reason, 'guest-shutdown')
    const mebibytes = (field: string) =>
      Math.round(Number(new RegExp(`^${field}: +(\\d+)`, 'm').exec(memory)?.[1]) / 1024)
    t.diagnostic(`start → QMP ready ${readyMs.toFixed(0)} ms, → HTTP ${httpMs.toFixed(0)} ms`)
    t.diagnostic(
      `RSS ${mebibytes('Rss')} MiB, of it private ${mebibytes('Anonymous')} MiB; idle ${idle.toFixed(1)} % of a core`,
    )
  })

  test('that is killed from outside is seen to be dead, started here or adopted', {
    timeout,
  }, async (t) => {
    for (const kind of ['own', 'adopted'] as const) {
      const latencies: number[] = []
      for (let round = 0; round < 5; round += 1) latencies.push(await measureDeath(`${kind}${round}`, kind))
      t.diagnostic(`SIGKILL → exited, ${kind}: ${latencies.map((ms) => ms.toFixed(1)).join(' ')} ms`)
    }
  })

  test('goes on serving while its agent dies, and is adopted by the next one', { timeout }, async (t) => {
    const definition = await host.define('adopted')
    const agent = await earlierAgent(definition)
    const pid = await agent.firstLine
    await host.untilHttpAnswers()
    let answers = 0
    let failures = 0
    const asking = new AbortController()
    const asked = askUntil(asking.signal, (isAnswered) => {
      if (isAnswered) answers += 1
      else failures += 1
    })
    agent.kill()
    const startedAt = performance.now()
    const machine = await host.hypervisor().adopt(definition.runDirectory, definition.cgroupDirectory)
    t.diagnostic(`adopted in ${(performance.now() - startedAt).toFixed(1)} ms`)
    assert.ok(machine)
    assert.equal(`${machine.pid}`, pid)
    assert.equal(await machine.state(), 'running')
    await delay(1000)
    asking.abort()
    await asked
    assert.deepEqual([failures, answers > 5], [0, true])
    await assertPanicIsTold(machine, t)
    await machine.kill(5000)
    assert.equal((await machine.exited).reason, 'killed')
  })
})

async function assertRebootIsTold(machine: RunningMachine, console: Duplex): Promise<void> {
  const events: MachineEvent[] = []
  machine.onEvent((event) => events.push(event))
  await logIn(console)
  console.write('reboot\n')
  await waitForText(console, 'login:')
  // The firmware resets once more by itself.
  assert.deepEqual(new Set(events.map((event) => event.kind)), new Set(['guest-reset']))
}

async function logIn(console: Duplex): Promise<void> {
  console.write('\n')
  await waitForText(console, 'login:')
  console.write('root\n')
  await waitForText(console, 'assword:')
  console.write('tiny\n')
  await waitForText(console, '#')
}

async function assertPanicIsTold(machine: RunningMachine, t: TestContext): Promise<void> {
  const panicked = Promise.withResolvers<void>()
  machine.onEvent((event) => {
    if (event.kind === 'guest-panicked') panicked.resolve()
  })
  const console = await machine.openConsole()
  await logIn(console)
  const startedAt = performance.now()
  console.write('echo c > /proc/sysrq-trigger\n')
  await Promise.race([
    panicked.promise,
    delay(5000, undefined, { ref: false }).then(() => assert.fail('no panic was told')),
  ])
  t.diagnostic(`panic told ${(performance.now() - startedAt).toFixed(0)} ms after the command`)
  assert.equal(await machine.state(), 'paused')
}

async function earlierAgent(definition: MachineDefinition): Promise<{ firstLine: Promise<string>; kill(): void }> {
  const driver = join(import.meta.dirname, 'qemu-machine.driver.ts')
  const agent = spawn(process.execPath, [driver, JSON.stringify(definition)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const firstLine = once(agent.stdout, 'data', { signal: AbortSignal.timeout(bootTimeoutMs) }).then(([chunk]) =>
    String(chunk).trim(),
  )
  return { firstLine, kill: () => void agent.kill('SIGKILL') }
}

/** From the signal to `exited`. The guest has run for a moment. */
async function measureDeath(name: string, kind: 'own' | 'adopted'): Promise<number> {
  const definition = await host.define(name)
  const own = await host.hypervisor().start(definition)
  await own.resume()
  await delay(300)
  const adopt = () => host.hypervisor().adopt(definition.runDirectory, definition.cgroupDirectory)
  const machine = kind === 'own' ? own : await adopt()
  assert.ok(machine)
  const startedAt = performance.now()
  process.kill(machine.pid, 'SIGKILL')
  const exit = await machine.exited
  const latency = performance.now() - startedAt
  assert.equal(exit.reason, 'crashed')
  return latency
}

async function askUntil(signal: AbortSignal, tell: (isAnswered: boolean) => void): Promise<void> {
  while (!signal.aborted) {
    tell(await host.isHttpAnswered())
    await delay(20)
  }
}

async function waitForText(stream: NodeJS.ReadableStream, text: string): Promise<void> {
  let seen = ''
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no ${text} on the console, but: ${seen.slice(-500)}`)),
      bootTimeoutMs,
    )
    const onData = (chunk: unknown) => {
      seen += String(chunk)
      if (!seen.includes(text)) return
      clearTimeout(timer)
      stream.removeListener('data', onData)
      resolve()
    }
    stream.on('data', onData)
  })
}

/** Percent of one core that the process uses over two seconds. */
async function idleShare(pid: number): Promise<number> {
  const ticks = async () => {
    const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? []
    return Number(fields[11]) + Number(fields[12])
  }
  await delay(1500)
  const before = await ticks()
  await delay(2000)
  return ((await ticks()) - before) / 2
}
