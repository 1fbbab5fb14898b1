/**
 * A host is cut off in three ways while its machine stamps a disk; QEMU's file locks are off, because all hosts share one kernel here and
 * its locks would hide a mistake. The old process has to be gone before the new one begins, and the stamps must show one writer at a time.
 * With a false proof (an operator's word that isn't true) the same measurement does show a second writer: it can fail.
 *
 * `npm run e2e -- never-two-writers --rounds 10` repeats each way ten times; `npm test` does the first once.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { findSecondWriters, readStamps } from '../recipes/tiny/read-stamps.ts'
import { waitForAnswer } from '../src/cli/demo/http-probe.ts'
import type { VmView } from '../src/model/api/views.ts'
import { isThorough, rounds } from './is-thorough.ts'
import { type OpenLaboratory, openLaboratory } from './open-laboratory.ts'
import { stampArguments, stampDiskOf } from './stamped-disk.ts'

const laboratoryName = 'e2e-writers'
let laboratory: OpenLaboratory

before(async () => {
  laboratory = await openLaboratory(laboratoryName, ['--hosts', '3', '--no-file-locks', '--post-delay', '1500'])
})
after(() => laboratory?.[Symbol.asyncDispose]())

type Fault = { readonly name: string; inject(host: string): Promise<void>; heal(host: string): Promise<void> }

const faults: readonly Fault[] = [
  {
    name: 'its link goes down',
    inject: (host) => laboratory.lab(['cut', host]),
    heal: (host) => laboratory.lab(['heal', host]),
  },
  {
    name: 'its agent stands still',
    inject: async (host) => void process.kill(await pidOf(host, 'agent'), 'SIGSTOP'),
    // The watchdog process ends an agent that stands still, and the supervisor starts it anew.
    heal: async () => undefined,
  },
  {
    name: 'its watchdog process stands still',
    inject: async (host) => void process.kill(await pidOf(host, 'watchdog'), 'SIGSTOP'),
    // The hardware resets the host, which boots again.
    heal: async () => undefined,
  },
]

for (const fault of isThorough ? faults : faults.slice(0, 1)) {
  for (let round = 1; round <= rounds; round += 1) {
    test(`a host is cut off because ${fault.name}: dead there before it starts elsewhere (round ${round})`, async () => {
      const vm = await deployStamping()
      const host = vm.hostName ?? ''
      const watch = watchProcess(vm.status.pid ?? 0)
      await fault.inject(host)
      const moved = await untilItsNextLife(vm)
      const newStartedAtMs = processStartedAtMs(moved.status.pid ?? 0)
      assert(
        watch.goneAtMs() < newStartedAtMs,
        `the old process was gone ${Math.round(newStartedAtMs - watch.goneAtMs())} ms before the new one began`,
      )
      assert.notEqual(moved.placement?.proof, null)
      await waitForAnswer({ address: vm.address, name: vm.name }, { deadlineMs: 120_000 })
      await fault.heal(host)
      await laboratory.untilHostIs(host, 'online')
      await delay(1500)
      assert.deepEqual(findSecondWriters(await readStamps(stampDiskOf(laboratory, vm))), [])
      const settled = await laboratory.api.call('getVm', { params: { vm: vm.name } })
      assert.equal(settled.placement?.epoch, moved.placement?.epoch)
      await remove(vm.name)
    })
  }
}

test('with a false proof there is a second writer, and the stamps show it', async () => {
  const vm = await deployStamping()
  const host = vm.hostName ?? ''
  await laboratory.lab(['cut', host])
  await laboratory.untilHostIs(host, 'suspect')
  await laboratory.api.call('confirmHostDead', { params: { host }, body: { confirm: host } })
  await untilItsNextLife(vm)
  const givesUpAtMs = performance.now() + 30_000
  while (findSecondWriters(await readStamps(stampDiskOf(laboratory, vm))).length === 0) {
    assert(performance.now() < givesUpAtMs, 'the stamps show the second writer')
    await delay(500)
  }
  await laboratory.lab(['heal', host])
  await laboratory.untilHostIs(host, 'online')
  await remove(vm.name)
})

test('in the end the doctor finds nothing wrong', async () => {
  const { findings } = await laboratory.api.call('doctor', {})
  assert.deepEqual(findings, [])
})

let count = 0

async function deployStamping(): Promise<VmView> {
  count += 1
  const name = `stamp-${count}`
  const { vm } = await laboratory.api.call('createVm', {
    body: {
      name,
      template: 'tiny',
      ha: true,
      disks: [{ sizeMiB: 16, format: 'raw' }],
      extraCommandLine: stampArguments,
    },
  })
  await waitForAnswer({ address: vm.address, name }, { deadlineMs: 120_000 })
  await delay(500)
  const running = await laboratory.api.call('getVm', { params: { vm: name } })
  assert((await readStamps(stampDiskOf(laboratory, running))).length > 5, 'the machine stamps its disk')
  return running
}

async function remove(name: string): Promise<void> {
  const { task } = await laboratory.api.call('deleteVm', { params: { vm: name }, query: { force: 'true' } })
  for await (const { data } of laboratory.api.events('watchTask', { params: { task: task.id } })) {
    if (data.endedAt !== null) return assert.equal(data.state, 'succeeded', data.error?.message)
  }
}

/** Under a newer epoch: on another host, or on the same one if that has booted anew before it was fenced. */
async function untilItsNextLife(vm: VmView): Promise<VmView> {
  const givesUpAtMs = performance.now() + 60_000
  for (;;) {
    const now = await laboratory.api.call('getVm', { params: { vm: vm.name } })
    const isNewLife = now.status.epoch > vm.status.epoch && now.status.pid !== vm.status.pid
    if (isNewLife && now.status.state === 'running' && now.status.pid !== null) return now
    assert(performance.now() < givesUpAtMs, `${vm.name} runs again; it is ${now.status.state}: ${now.status.detail}`)
    await delay(20)
  }
}

async function pidOf(host: string, which: 'agent' | 'watchdog'): Promise<number> {
  const pid = (await laboratory.status()).hosts.find((one) => one.name === host)?.pids[which]
  assert(pid)
  return pid
}

/** Looks every 2 ms; times are milliseconds since the machine booted, as in /proc. */
function watchProcess(pid: number): { goneAtMs(): number } {
  let goneAtMs: number | undefined
  const timer = setInterval(() => {
    if (isAlive(pid)) return
    goneAtMs = uptimeMs()
    clearInterval(timer)
  }, 2)
  return {
    goneAtMs() {
      clearInterval(timer)
      return goneAtMs ?? Number.POSITIVE_INFINITY
    },
  }
}

function isAlive(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !/^[ZX]/.test(text.slice(text.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

function uptimeMs(): number {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000
}

/** Field 22 of /proc/PID/stat, in ticks of 10 ms. */
function processStartedAtMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19]) * 10
}
