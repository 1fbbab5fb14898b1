/**
 * Rounds of real faults, drawn from a seed: links, processes, power, the controller and the shared storage, which the hosts of this
 * laboratory mount over the network, from a server that can hang and be lost. A machine stamps its disk all the while; QEMU's file locks are
 * off. After each round everything is healed: then every machine has to serve, the doctor finds nothing, and the stamps, which are read from
 * the server's own disk, show one writer at a time, writes included that were under way when something died.
 *
 * `npm run e2e -- faults --rounds 50` for many; `--seed N` begins elsewhere. A round that fails says how to repeat it.
 */
import assert from 'node:assert/strict'
import { cp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { readStamps } from '../recipes/tiny/read-stamps.ts'
import { ask } from '../src/cli/demo/http-probe.ts'
import type { VmView } from '../src/model/api/views.ts'
import { drawFaults, type Fault } from './draw-faults.ts'
import { type FaultInjector, openFaultInjector } from './inject-fault.ts'
import { isThorough, rounds } from './is-thorough.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'
import { type FollowedStamps, followStamps, stampArguments, stampDiskOf } from './stamped-disk.ts'

const firstSeed = Number(process.env['SEED'] ?? 19778)
const names = ['left', 'right'] as const
const settleWithinMs = 120_000

let laboratory: OpenLaboratory
let injector: FaultInjector
const stamps = new Map<string, FollowedStamps>()
let hasFailed = false

before(async () => {
  laboratory = await openLaboratory('e2e-faults', [
    ...['--hosts', '3', '--storage-server', '--no-file-locks', '--post-delay', '1500'],
  ])
  injector = await openFaultInjector(laboratory)
  const disks = [{ sizeMiB: 32, format: 'raw' as const }]
  for (const name of names)
    await laboratory.api.call('createVm', {
      body: { name, template: 'tiny', ha: true, disks, extraCommandLine: `${stampArguments} dialtone.stampEveryMs=30` },
    })
  for (const name of names) {
    await untilServing(name)
    stamps.set(name, await followStamps(stampDiskOf(laboratory, await look(name))))
  }
})
after(async () => {
  for (const followed of stamps.values()) await followed[Symbol.asyncDispose]()
  await laboratory?.[Symbol.asyncDispose]()
})

test('a round is drawn from its seed alone', () => {
  for (let seed = firstSeed; seed < firstSeed + 20; seed += 1) assert.deepEqual(drawFaults(seed), drawFaults(seed))
})

for (let seed = firstSeed; seed < firstSeed + rounds; seed += 1) {
  const again = `npm run e2e -- faults --rounds 1 --seed ${seed}`
  test(`after the faults of seed ${seed} every machine serves and no disk had a second writer (${again})`, async (t) => {
    if (hasFailed) return t.skip('an earlier round has failed, and left what it left')
    hasFailed = true
    try {
      await play(seed, (words) => t.diagnostic(words))
      hasFailed = false
    } finally {
      if (hasFailed) t.diagnostic(`the logs of all hosts are in ${await keepLogs(seed)}`)
    }
  })
}

// Shows that the measurement can fail. It has to catch a write in a socket, which takes some tries on a busy machine: in long runs only.
if (isThorough)
  test('where no hardware resets a host, what its dead QEMU had sent lands on the disk of its successor, and the stamps show it', async (t) => {
    if (hasFailed) return t.skip('an earlier round has failed, and left what it left')
    const { id, hostName, status } = await look('left')
    assert(hostName !== null)
    const note = (words: string) => t.diagnostic(words)
    const victim = { host: hostName, vmIds: [id] } as const
    const hardware = await injector.inject('the hardware does nothing', victim, note)
    const storage = await injector.inject('its QEMU is killed with writes under way', victim, note)
    const controller = await injector.inject('it doesn’t reach the controller', victim, note)
    await until('it runs elsewhere', async () => {
      const vm = await look('left')
      assert(vm.hostName !== hostName && vm.status.epoch > status.epoch && vm.status.state === 'running')
    })
    const stamped = await stampCount(await look('left'))
    await until('its successor stamps', async () => assert((await stampCount(await look('left'))) > stamped + 10))
    await storage()
    await until('the stamps show it', async () => assert.notDeepEqual(await stamps.get('left')?.violations(), []))
    note((await stamps.get('left')?.violations())?.[0] ?? '')
    await Promise.all([controller(), hardware()])
  })

async function play(seed: number, note: (words: string) => void): Promise<void> {
  const before = new Map<string, VmView>()
  for (const name of names) before.set(name, await look(name))
  await doFaults(drawFaults(seed), note)
  const healedAtMs = performance.now()
  await untilAllOnline()
  for (const name of names) await untilServing(name)
  await untilTasksHaveEnded()
  await untilDoctorIsContent()
  note(`all is well ${((performance.now() - healedAtMs) / 1000).toFixed(1)} s after the last was healed`)
  for (const name of names) {
    const vm = await look(name)
    note(`${name}: ${lifeOf(before.get(name))} → ${lifeOf(vm)}`)
    const stamped = await stampCount(vm)
    // One that has just booted looks through its whole disk for the end first.
    await until(`${name} goes on stamping`, async () => assert.ok((await stampCount(vm)) > stamped))
    assert.deepEqual(await stamps.get(name)?.violations(), [], name)
  }
}

/** Before the laboratory is taken down. */
async function keepLogs(seed: number): Promise<string> {
  const kept = join(tmpdir(), `dialtone-faults-${seed}`)
  await rm(kept, { recursive: true, force: true })
  for (const part of ['log', 'hardware/log', ...['h1', 'h2', 'h3'].map((host) => `hosts/${host}/log`)])
    await cp(join(laboratory.folder, part), join(kept, part), { recursive: true }).catch(() => undefined)
  return kept
}

/** Each at its moment and for its time. Resolves when all are healed. */
async function doFaults(faults: readonly Fault[], note: (words: string) => void): Promise<void> {
  const { hostName: home } = await look('left')
  const { hosts } = await laboratory.api.call('listHosts', {})
  const others = hosts.map(({ name }) => name).filter((name) => name !== home)
  const hostOf = { home: home ?? 'h1', second: others[0] ?? 'h2', third: others[1] ?? 'h3' }
  const vmIds = [(await look('left')).id, (await look('right')).id] as const
  const inject = async ({ kind, on, atMs, forMs }: Fault) => {
    const host = hostOf[on]
    await delay(atMs)
    const seconds = (forMs / 1000).toFixed(1)
    note(`${(atMs / 1000).toFixed(1)} s  ${host}: ${kind}, for ${seconds} s`)
    const heal = await injector.inject(kind, { host, vmIds }, (words) => note(`       ${host}: ${words}`))
    await delay(forMs)
    await heal()
  }
  await Promise.all(faults.map(inject))
}

function look(name: string): Promise<VmView> {
  return until(`${name} is shown`, () => laboratory.api.call('getVm', { params: { vm: name } }))
}

async function untilServing(name: string): Promise<void> {
  await until(`${name} serves`, async () => {
    const vm = await laboratory.api.call('getVm', { params: { vm: name } })
    const answer = await ask({ address: vm.address, name }, 1_000)
    assert(vm.status.state === 'running' && answer !== undefined, JSON.stringify(vm.status))
  })
}

async function untilAllOnline(): Promise<void> {
  await until('all hosts are online', async () => {
    const { hosts } = await laboratory.api.call('listHosts', {})
    const away = hosts.filter(({ status }) => status.state !== 'online')
    assert.deepEqual(
      away.map(({ name, status }) => `${name} is ${status.state}: ${status.detail}`),
      [],
    )
  })
}

async function untilTasksHaveEnded(): Promise<void> {
  await until('all tasks have ended', async () => {
    const { tasks } = await laboratory.api.call('listTasks', {})
    const open = tasks.filter(({ endedAt }) => endedAt === null)
    assert.deepEqual(
      open.map(({ kind, subject, message }) => `${kind} ${subject}: ${message}`),
      [],
    )
  })
}

async function untilDoctorIsContent(): Promise<void> {
  await until('the doctor finds nothing', async () => {
    const { findings } = await laboratory.api.call('doctor', {}, { timeoutMs: 30_000 })
    assert.deepEqual(findings, [])
  })
}

/** Tries until it does not throw; then gives up with the last reason. */
async function until<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  const givesUpAtMs = performance.now() + settleWithinMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > givesUpAtMs)
        throw new Error(`not within ${settleWithinMs / 1000} s: ${what}. The logs are in ${laboratory.folder}`, {
          cause: error,
        })
      await delay(200)
    }
  }
}

async function stampCount(vm: VmView): Promise<number> {
  return (await readStamps(stampDiskOf(laboratory, vm))).length
}

function lifeOf(vm: VmView | undefined): string {
  return vm === undefined ? '?' : `${vm.hostName} (epoch ${vm.status.epoch}, incarnation ${vm.status.incarnation})`
}
