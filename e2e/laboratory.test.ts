/** The laboratory with real namespaces, cgroups and mounts; controller, agent and watchdog process are stand-ins. Needs root. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { LaboratoryDescription } from '../src/laboratory/describe-laboratory.ts'
import { findCgroupMount, isCgroupEmpty, killCgroupAndWait, removeCgroup } from '../src/linux/cgroup.ts'
import { deleteInterface, deleteNetworkNamespace, listNetworkNamespaces } from '../src/linux/network-namespace.ts'
import { runCommand } from '../src/linux/run-command.ts'

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const laboratoryMain = pathOf('../src/laboratory/main.ts')
const powerBoard = pathOf('../src/laboratory/power-board/fence_laboratory')
const programs = JSON.stringify({
  controller: pathOf('laboratory-stand-ins/controller.ts'),
  agent: pathOf('laboratory-stand-ins/agent.ts'),
  watchdog: pathOf('laboratory-stand-ins/watchdog.ts'),
})
const suffix = (process.pid % 1296).toString(36)
const alpha = `ta${suffix}`
const beta = `tb${suffix}`
const gamma = `tc${suffix}`
const watchdogMs = 300

let home = ''
let atFirst: readonly string[] = []

type Outcome = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

function start(args: readonly string[]): ChildProcess {
  const environment = { PATH: process.env['PATH'], DIALTONE_HOME: home }
  return spawn(process.execPath, [laboratoryMain, ...args], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
}

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk) => (output.stdout += chunk))
  child.stderr?.on('data', (chunk) => (output.stderr += chunk))
  const [code] = await once(child, 'close')
  return { code, ...output }
}

const run = (...args: string[]) => outcomeOf(start(args))

function upArguments(name: string, hosts: number): string[] {
  return ['up', '--name', name, '--hosts', String(hosts), '--post-delay', '300', '--programs', programs]
}

async function succeeds(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args)
  assert.equal(code, 0, `${args[0]}: ${stdout}${stderr}`)
  return stdout
}

async function describeLab(name: string): Promise<LaboratoryDescription> {
  return JSON.parse(await succeeds('status', '--name', name, '--json'))
}

const folder = (name: string, ...parts: string[]) => join(home, 'labs', name, ...parts)

async function journalOf(name: string): Promise<{ atMs: number; event: string; host?: string; cause?: string }[]> {
  const text = await readFile(folder(name, 'hardware', 'log'), 'utf8')
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

async function eventually<T>(what: string, look: () => Promise<T | undefined>, withinMs = 10_000): Promise<T> {
  const givesUpAt = performance.now() + withinMs
  for (;;) {
    const found = await look().catch(() => undefined)
    if (found !== undefined) return found
    if (performance.now() > givesUpAt) throw new Error(`not within ${withinMs} ms: ${what}`)
    await delay(20)
  }
}

async function fence(name: string, parameters: Record<string, string>): Promise<Outcome> {
  const lines = Object.entries({ ip: folder(name, 'hardware', 'control.sock'), ...parameters })
  const child = spawn(powerBoard, [], { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.end(lines.map(([key, value]) => `${key}=${value}\n`).join(''))
  return outcomeOf(child)
}

async function answersFromMachine(address: string): Promise<boolean> {
  return fetch(`http://${address}:7441/`, { signal: AbortSignal.timeout(400) }).then(
    (response) => response.ok,
    () => false,
  )
}

/** Everything on the machine that has to do with these laboratories. */
async function traces(): Promise<string[]> {
  const isOurs = (text: string) => [alpha, beta, gamma].some((name) => text.includes(name)) || text.includes(home)
  const links = (await runCommand('ip', ['-oneline', 'link'], { timeoutMs: 5000 })).split('\n')
  const routes = (await runCommand('ip', ['-oneline', '-4', 'route'], { timeoutMs: 5000 })).split('\n')
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
  const cgroups = await readdir((await findCgroupMount()) ?? '/nonexistent').catch(() => [])
  const processes = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .map(async (pid) => (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')),
  )
  const labs = await readdir(join(home, 'labs')).catch(() => [])
  return [...(await listNetworkNamespaces()), ...links, ...routes, ...mounts, ...cgroups, ...processes, ...labs].filter(
    isOurs,
  )
}

/** It may have ended before it could be killed: on a quick machine `up` needs little more than a second. */
async function ended(child: ReturnType<typeof start>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

describe('a laboratory', { timeout: 90_000, skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  before(async () => {
    home = await mkdtemp('/tmp/dt-')
    atFirst = await traces()
    assert.deepEqual(atFirst, [])
  })

  after(async () => {
    for (const name of [alpha, beta, gamma]) await run('down', '--name', name)
    await rm(home, { recursive: true, force: true })
  })

  test('two come up side by side, with different subnets and ports; a second up of one is refused', async () => {
    const [a, b, again] = await Promise.all([
      run(...upArguments(alpha, 2)),
      run(...upArguments(beta, 1)),
      delay(100).then(() => run(...upArguments(alpha, 2))),
    ])
    assert.equal(b.code, 0, b.stderr)
    const [won, lost] = a.code === 0 ? [a, again] : [again, a]
    assert.equal(won.code, 0, won.stderr)
    assert.equal(lost.code, 1)
    assert.match(lost.stderr, /is being worked on by dialtone up \(process \d+\)/)
    const [alphaLab, betaLab] = [await describeLab(alpha), await describeLab(beta)]
    assert.notEqual(alphaLab.subnet, betaLab.subnet)
    assert.notEqual(alphaLab.apiUrl, betaLab.apiUrl)
    const late = await run(...upArguments(alpha, 2), '--json')
    assert.equal(late.code, 1)
    assert.equal(JSON.parse(late.stderr).error.code, 'in-use')
    assert.match(late.stderr, /runs already/)
  })

  test('the controller was told the network and the storage before the hosts', async () => {
    const asked = JSON.parse(await readFile(folder(alpha, 'controller', 'asked.json'), 'utf8'))
    assert.deepEqual(
      asked.map(({ key }: { key: string }) => key),
      ['PUT /v1/network', 'POST /v1/storages', 'POST /v1/join-tokens', 'POST /v1/join-tokens'],
    )
    assert.deepEqual(asked[1].body, { name: 'shared', kind: 'directory', path: folder(alpha, 'shared'), shared: true })
  })

  test('a host sees its own tree and the shared storage, its own devices, and the cgroup tree', async () => {
    const sight = JSON.parse(await readFile(folder(alpha, 'hosts', 'h1', 'sight.json'), 'utf8'))
    assert.deepEqual(sight.laboratories, [alpha])
    assert.deepEqual(sight.laboratory.sort(), ['hosts', 'shared'])
    assert.deepEqual(sight.hosts, ['h1'])
    assert.deepEqual(sight.interfaces.sort(), ['br0', 'lo', 'up0'])
    assert.equal(sight.seesCgroup, true)
  })

  test('status knows every process', async () => {
    const { pids, hosts } = await describeLab(alpha)
    assert.ok(pids.controller !== null && pids.controllerKeeper !== null && pids.hardware !== null)
    for (const host of hosts) {
      assert.ok(host.pids.init !== null && host.pids.agent !== null && host.pids.watchdog !== null)
      assert.deepEqual(
        host.pids.machines.map(({ vmId, pids }) => [vmId, pids.length]),
        [['vm-standin1', 1]],
      )
    }
  })

  test('a cut host cannot be reached and the others can; healed, it can again', async () => {
    const [h1, h2] = (await describeLab(alpha)).hosts.map((host) => host.address)
    assert.equal(await answersFromMachine(h1 ?? ''), true)
    await succeeds('cut', 'h1', '--name', alpha)
    assert.deepEqual([await answersFromMachine(h1 ?? ''), await answersFromMachine(h2 ?? '')], [false, true])
    await succeeds('heal-all', '--name', alpha)
    await eventually('h1 answers again', async () => ((await answersFromMachine(h1 ?? '')) ? true : undefined))
  })

  test('an agent that dies is started again', async () => {
    const before = (await describeLab(alpha)).hosts[1]?.pids.agent ?? 0
    process.kill(before, 'SIGKILL')
    await eventually('a new agent', async () => {
      const now = (await describeLab(alpha)).hosts[1]?.pids.agent ?? null
      return now !== null && now !== before ? now : undefined
    })
  })

  test('a host that is not petted is dead within the timeout, hanging up does not disarm, and it boots anew', async () => {
    const tree = folder(alpha, 'hosts', 'h1')
    const bootId = await readFile(join(tree, 'boot-id'), 'utf8')
    const group = join((await findCgroupMount()) ?? '', `dialtone-${alpha}`, 'h1')
    assert.equal(await isCgroupEmpty(group), false)
    await writeFile(join(tree, 'stop-petting'), '')
    const dead = await eventually('h1 is dead', async () =>
      (await journalOf(alpha)).find(({ event, host }) => event === 'dead' && host === 'h1'),
    )
    await unlink(join(tree, 'stop-petting'))
    const killed = (await journalOf(alpha)).find(({ event, host }) => event === 'killed' && host === 'h1')
    const lastPetAtMs = Number(await readFile(join(tree, 'last-pet'), 'utf8'))
    const tookMs = (killed?.atMs ?? Number.NaN) - lastPetAtMs
    assert.ok(tookMs >= watchdogMs - 1 && tookMs <= watchdogMs + 20, `killed ${tookMs} ms after the last pet`)
    assert.ok(dead.atMs - lastPetAtMs < watchdogMs + 250, `dead ${dead.atMs - lastPetAtMs} ms after the last pet`)
    await eventually('a new boot', async () =>
      (await readFile(join(tree, 'boot-id'), 'utf8')) === bootId ? undefined : true,
    )
    await eventually('armed again', async () => (await describeLab(alpha)).hosts[0]?.hardware?.armedMs ?? undefined)
    const events = (await journalOf(alpha)).filter(({ host }) => host === 'h1').map(({ event }) => event)
    assert.deepEqual(events.slice(-8), [
      ...['watchdog-expired', 'reset', 'link-down', 'killed', 'dead', 'self-test', 'booted', 'watchdog-armed'],
    ])
  })

  test('the power board answers with the exit codes of fence agents', async () => {
    assert.equal((await fence(alpha, { action: 'status', plug: 'h2' })).code, 0)
    assert.equal((await fence(alpha, { action: 'off', plug: 'h2' })).code, 0)
    const group = join((await findCgroupMount()) ?? '', `dialtone-${alpha}`, 'h2')
    assert.equal(await isCgroupEmpty(group), true)
    assert.equal((await fence(alpha, { action: 'status', plug: 'h2' })).code, 2)
    assert.equal((await fence(alpha, { action: 'monitor' })).code, 0)
    assert.match((await fence(alpha, { action: 'list' })).stdout, /^h1,\nh2,\n$/)
    assert.match((await fence(alpha, { action: 'metadata' })).stdout, /^<\?xml[^]*<action name="off" \/>/)
    assert.equal((await fence(alpha, { action: 'off', plug: 'h9' })).code, 1)
    assert.equal((await fence(alpha, { action: 'status', plug: 'h2', ip: '/nonexistent' })).code, 1)
    assert.equal((await fence(alpha, { action: 'explode', plug: 'h2' })).code, 1)
    assert.equal((await fence(alpha, { action: 'on', plug: 'h2' })).code, 0)
    await eventually('h2 runs', async () =>
      (await describeLab(alpha)).hosts[1]?.hardware?.phase === 'running' ? true : undefined,
    )
  })

  test('hosts go on running while the hardware is started anew, and their watchdogs are armed again', async () => {
    const earlier = await describeLab(alpha)
    process.kill(earlier.pids.hardware ?? 0, 'SIGKILL')
    const later = await eventually('the hardware answers', async () => {
      const now = await describeLab(alpha)
      return now.pids.hardware !== earlier.pids.hardware && now.hosts[0]?.hardware?.armedMs === watchdogMs
        ? now
        : undefined
    })
    assert.deepEqual(
      later.hosts.map((host) => [host.pids.init, host.hardware?.bootId]),
      earlier.hosts.map((host) => [host.pids.init, host.hardware?.bootId]),
    )
  })

  test('a killed controller is started again, a stopped one is not', async () => {
    const earlier = (await describeLab(beta)).pids.controller
    await succeeds('controller', 'kill', '--name', beta)
    await eventually('a new controller', async () => {
      const now = (await describeLab(beta)).pids.controller
      return now !== null && now !== earlier ? true : undefined
    })
    await succeeds('controller', 'stop', '--name', beta)
    await delay(400)
    assert.equal((await describeLab(beta)).pids.controller, null)
    await succeeds('controller', 'start', '--name', beta)
  })

  test('after a reboot of the machine, up brings it up again and keeps its files', async () => {
    await writeFile(folder(beta, 'shared', 'precious'), 'kept')
    const group = join((await findCgroupMount()) ?? '', `dialtone-${beta}`)
    await killCgroupAndWait(group, 5000)
    await removeCgroup(group)
    await deleteInterface(`dt-${beta}`)
    for (const part of ['fab', 'h1']) await deleteNetworkNamespace(`dt-${beta}-${part}`)
    await runCommand('umount', [folder(beta, 'hardware', 'fabric-sysfs')], { timeoutMs: 5000 })
    assert.equal((await describeLab(beta)).isRunning, false)
    assert.match(await succeeds(...upArguments(beta, 1)), /brought up again[^]*all hosts are online/)
    assert.equal(await readFile(folder(beta, 'shared', 'precious'), 'utf8'), 'kept')
  })

  test('an up that is killed at any moment is cleared by down, and by the next up', async () => {
    for (const afterMs of [350, 600, 900, 1200]) {
      const child = start(upArguments(gamma, 1))
      await delay(afterMs)
      child.kill('SIGKILL')
      await ended(child)
      if (afterMs === 900) continue
      await succeeds('down', '--name', gamma)
      assert.deepEqual(
        (await traces()).filter((trace) => trace.includes(gamma)),
        [],
        `killed after ${afterMs} ms`,
      )
    }
    const child = start(upArguments(gamma, 1))
    await eventually('hosts are made', async () => (await readdir(folder(gamma, 'hosts', 'h1'))).at(0))
    child.kill('SIGKILL')
    await ended(child)
    assert.match(await succeeds(...upArguments(gamma, 1)), /cleared what an interrupted command left/)
  })

  test('Ctrl-C during up removes what was made', async () => {
    await succeeds('down', '--name', gamma)
    const child = start(upArguments(gamma, 1))
    const outcome = outcomeOf(child)
    await eventually('the hardware is made', async () => (await readdir(folder(gamma, 'hardware'))).at(0))
    child.kill('SIGINT')
    const { code, stderr } = await outcome
    assert.equal(code, 130, stderr)
    assert.deepEqual(
      (await traces()).filter((trace) => trace.includes(gamma)),
      [],
    )
  })

  test('with a storage server, hosts write to its disk over the network, also after a boot, and down leaves nothing of it', async () => {
    await succeeds(...upArguments(gamma, 1), '--storage-server')
    const write = async (words: string) => {
      const { hosts } = await describeLab(gamma)
      const agent = ['--target', String(hosts[0]?.pids.agent), '--mount', '--net']
      const shared = folder(gamma, 'shared')
      const script = `echo ${words} > ${shared}/note && stat --file-system --format %T ${shared}`
      return (await runCommand('nsenter', [...agent, '/bin/sh', '-c', script], { timeoutMs: 5000 })).trim()
    }
    const read = async () => (await readFile(folder(gamma, 'shared', 'note'), 'utf8')).trim()
    assert.equal(await write('first'), 'fuseblk')
    assert.equal(await read(), 'first')
    await succeeds('reset', 'h1', '--name', gamma)
    await eventually('h1 has booted and writes', () => write('second'))
    assert.equal(await read(), 'second')
    await succeeds('down', '--name', gamma)
    assert.deepEqual(
      (await traces()).filter((trace) => trace.includes(gamma)),
      [],
    )
  })

  test('down leaves nothing, may be repeated, and touches no other laboratory', async () => {
    await succeeds('down', '--name', alpha)
    const left = await traces()
    assert.deepEqual(
      left.filter((trace) => trace.includes(alpha)),
      [],
    )
    assert.equal((await describeLab(beta)).hosts[0]?.hardware?.phase, 'running')
    assert.match(await succeeds('down', '--name', alpha), /There is no laboratory/)
    await succeeds('down', '--name', beta)
    assert.deepEqual(await traces(), atFirst)
  })
})
